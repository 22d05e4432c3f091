import { createStateSigner } from '@nexus/crypto'
import { expect } from 'vitest'
import {
  capture,
  goodKey,
  readSchema,
  registerStatic,
  requestStatic,
  startApi,
  storedKey,
  triedAt,
} from './capture-scene.ts'
import { earlyInTheMinute } from './database-tools.ts'
import { auditOf, connectionOf, openProvider, send, test, travel } from './handshake-scene.ts'
import { appUrl, fileKeys, requestConnection, startTestBroker } from './harness.ts'

const signer = createStateSigner({ key: Buffer.from(fileKeys.STATE_KEY, 'base64') })

test('a front end learns what to ask for, sends it, and the agent has the credential', async ({ broker }) => {
  const { state, connection_id, name } = await requestStatic(broker, { description: 'Takes payments' })
  const { body: described, status } = await readSchema(broker, state)
  expect(status).toBe(200)
  expect(described).toEqual({
    provider_name: name,
    description: 'Takes payments',
    schema: expect.objectContaining({ type: 'object', required: ['api_key'] }),
    connection_id,
    expires_at: expect.stringMatching(/^20.*Z$/),
  })

  const answer = await capture(broker, state)
  expect(answer.status).toBe(200)
  expect(answer.body).toEqual({
    status: 'success',
    connection_id,
    provider: name,
    return_url: `${appUrl}&status=success&connection_id=${connection_id}&provider=${name}`,
  })
  expect(await connectionOf(broker, connection_id)).toMatchObject({ status: 'active', provider: name })
  expect((await broker.get(`/connections/${connection_id}/token`)).body).toEqual({
    strategy: { type: 'header', config: expect.objectContaining({ header_name: 'Authorization' }) },
    credentials: { api_key: goodKey },
    provider: name,
    provider_id: expect.any(String),
  })
  expect(await auditOf(broker, connection_id)).toEqual([
    'connection.requested success',
    'credential_captured success',
    'token_retrieved success',
  ])
})

test('whoever does not ask for JSON is sent on by a 303, or shown that all is done', async ({ broker }) => {
  const returning = await requestStatic(broker)
  const staying = await requestStatic(broker, {}, { return_url: undefined })
  const submit = ({ state }: { readonly state: string }, accept: string) =>
    send(`${broker.url}/auth/capture-credential`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', accept },
      body: JSON.stringify({ state, credentials: { api_key: goodKey } }),
    })
  const sent = await submit(returning, '*/*')
  expect(sent.status).toBe(303)
  expect(sent.location?.searchParams.get('status')).toBe('success')
  expect(sent.location?.searchParams.get('connection_id')).toBe(returning.connection_id)
  const page = await submit(staying, 'text/html')
  expect(page).toMatchObject({ status: 200, location: undefined })
  expect(page.text).toContain('<h1>All done</h1>')

  const quiet = await requestStatic(broker, {}, { return_url: undefined })
  expect((await capture(broker, quiet.state)).body).toMatchObject({ status: 'success', return_url: null })
})

test('[H4] with completion "app" what was typed in waits for the app, and its code goes to the return URL alone', async ({
  broker,
}) => {
  const { state, connection_id: id } = await requestStatic(broker, {}, { completion: 'app', workspace_id: 'ada' })
  const { status, body, headers } = await capture(broker, state)
  expect([status, body.status, headers.get('cache-control')]).toEqual([200, 'completion_required', 'no-store'])
  const returnUrl = new URL(body.return_url ?? '')
  expect(returnUrl.href.startsWith(appUrl)).toBe(true)
  expect(returnUrl.searchParams.get('status')).toBe('completion_required')
  const completion_code = returnUrl.searchParams.get('completion_code')
  expect(completion_code).toMatch(/^[\w-]{43}$/)
  expect(broker.logs.text()).not.toContain(completion_code)

  // whoever sends it again, with the same state, is not told where to go
  const again = await capture(broker, state)
  expect([again.status, again.body.code, again.text.includes('completion_code')]).toEqual([
    409,
    'already_completed',
    false,
  ])
  expect(await connectionOf(broker, id)).toMatchObject({ status: 'pending' })
  const completed = await broker.send('POST', `/connections/${id}/complete`, {
    body: { completion_code, workspace_id: 'ada' },
  })
  expect(completed.status, completed.text).toBe(200)
  expect(await storedKey(broker, id)).toBe(goodKey)
})

test('[H10] a return URL that is not allowed any more is not answered', async ({ broker, database }) => {
  const { state } = await requestStatic(broker)
  await using narrower = await startTestBroker(database, { env: { ALLOWED_RETURN_DOMAINS: 'app.example.com' } })
  expect((await capture(narrower, state)).body).toMatchObject({ status: 'success', return_url: null })

  // an app that was to complete it cannot be told: nothing is held
  const { state: waiting, connection_id } = await requestStatic(broker, {}, { completion: 'app' })
  expect(await capture(narrower, waiting)).toMatchObject({ status: 410, body: { code: 'link_expired' } })
  expect(await connectionOf(broker, connection_id)).toMatchObject({ status: 'failed' })
})

test('[H3] only the state of a request for a static provider opens the form: the rest gets one and the same answer', async ({
  broker,
}) => {
  const oauth = await openProvider(broker)
  const journey = await travel(broker, oauth)
  const ofOAuth = await requestConnection(broker, { provider_name: oauth.name })
  const own = await requestStatic(broker)
  const claims = signer.verify(own.state)!
  const states: Readonly<Record<string, string>> = {
    'made up': 'x.y',
    'changed on its way': `${own.state.slice(0, -2)}AA`,
    'of an OAuth handshake': ofOAuth.state,
    'for the callback': journey.state,
    'of the purpose oauth': signer.sign({ ...claims, purpose: 'oauth' }),
    'of the purpose capture': signer.sign({ ...claims, purpose: 'capture' }),
    'of the purpose confirm': signer.sign({ ...claims, purpose: 'confirm' }),
    'of another connection': signer.sign({ ...claims, connectionId: ofOAuth.connection_id }),
    'that nobody was given': signer.sign({ ...claims, jti: 'x'.repeat(43) }),
  }
  const bodies = new Set<string>()
  for (const [what, state] of Object.entries(states)) {
    for (const answer of [await readSchema(broker, state), await capture(broker, state)]) {
      expect.soft(answer.status, what).toBe(400)
      bodies.add(JSON.stringify({ ...(answer.body as object), request_id: '' }))
    }
  }
  expect([...bodies]).toEqual([
    JSON.stringify({ code: 'invalid_state', message: 'The state is not valid here', request_id: '' }),
  ])
  for (const reason of ['wrong_purpose', 'wrong_kind', 'unknown_request']) {
    const events = [...(await auditOf(broker, own.connection_id)), ...(await auditOf(broker, ofOAuth.connection_id))]
    expect(events).toContain(`state_verification_failed ${reason}`)
  }
  expect(await connectionOf(broker, own.connection_id)).toMatchObject({ status: 'pending' })
  expect(await connectionOf(broker, journey.connection_id)).toMatchObject({ status: 'pending' })
  expect((await capture(broker, own.state)).status, 'nothing was used up').toBe(200)
})

test('[H3] the state of a capture does not open the callback', async ({ broker }) => {
  const { state, connection_id } = await requestStatic(broker)
  const { jti } = signer.verify(state)!
  for (const one of [state, signer.sign({ purpose: 'oauth', connectionId: connection_id, jti, issuedAt: 1 })]) {
    const arrival = await send(`${broker.url}/auth/callback?code=c&state=${one}`)
    expect(arrival).toMatchObject({ status: 400, location: undefined })
  }
  expect(await connectionOf(broker, connection_id)).toMatchObject({ status: 'pending' })
})

test('[H2] a state is good for one capture, and says so afterwards', async ({ broker }) => {
  const { state, connection_id } = await requestStatic(broker)
  await capture(broker, state)
  for (const answer of [
    await capture(broker, state, { api_key: 'another-key-1234567' }),
    await readSchema(broker, state),
  ]) {
    expect(answer).toMatchObject({ status: 409, body: { code: 'already_completed' } })
  }
  expect(await storedKey(broker, connection_id)).toBe(goodKey)
  expect(await auditOf(broker, connection_id)).toContain('credential_refused already_completed')
})

test('a link that has expired takes nothing', async ({ broker, database }) => {
  const { state, connection_id } = await requestStatic(broker)
  await database.pool.query(`update handshakes set expires_at = now() - interval '1 second' where connection_id = $1`, [
    connection_id,
  ])
  for (const answer of [await capture(broker, state), await readSchema(broker, state)]) {
    expect(answer).toMatchObject({ status: 410, body: { code: 'link_expired' } })
  }
  expect((await broker.get(`/connections/${connection_id}/token`)).status).not.toBe(200)
  expect(await auditOf(broker, connection_id)).toContain('credential_refused expired')
})

test('[H8] a profile that changed since the link was made gets nothing that was typed in for the old one', async ({
  broker,
}) => {
  const api = await startApi()
  const { state, providerId, connection_id } = await requestStatic(broker, triedAt(api))
  const other = await startApi()
  const patched = await broker.send('PATCH', `/providers/${providerId}`, { body: triedAt(other) })
  expect(patched.status, patched.text).toBe(200)
  for (const answer of [await capture(broker, state), await readSchema(broker, state)]) {
    expect(answer).toMatchObject({ status: 410, body: { code: 'link_expired' } })
  }
  expect([...api.requests, ...other.requests]).toEqual([])
  expect(await auditOf(broker, connection_id)).toContain('credential_refused profile_changed')

  const removed = await requestStatic(broker)
  await broker.send('DELETE', `/providers/${removed.providerId}`)
  expect(await capture(broker, removed.state)).toMatchObject({ status: 410, body: { code: 'link_expired' } })
})

test('[H9] no answer of the two is stored, framed or referred from, and failures are JSON whatever is accepted', async ({
  broker,
}) => {
  const { state } = await requestStatic(broker, {}, { return_url: undefined })
  const post = (body: unknown) => ({
    method: 'POST',
    headers: { 'content-type': 'application/json', accept: 'text/html,application/xhtml+xml' },
    body: JSON.stringify(body),
  })
  const at = `${broker.url}/auth`
  const credentials = { api_key: goodKey }
  const answers = [
    await send(`${at}/capture-schema?state=${state}`),
    await send(`${at}/capture-schema?state=x`),
    await send(`${at}/capture-schema`),
    await send(`${at}/capture-credential`, post({ state: 'x', credentials })),
    await send(`${at}/capture-credential`, post({ state, credentials: {} })),
    await send(`${at}/capture-credential`, post({ state, credentials })),
    await send(`${at}/capture-credential`, post({ state, credentials })),
  ]
  expect(answers.map(({ status }) => status)).toEqual([200, 400, 400, 400, 422, 200, 409])
  for (const { status, headers } of answers) {
    expect.soft(headers.get('cache-control'), String(status)).toBe('no-store')
    expect.soft(headers.get('referrer-policy')).toBe('no-referrer')
    expect.soft(headers.get('x-content-type-options')).toBe('nosniff')
    expect.soft(headers.get('content-security-policy')).toMatch(/default-src 'none'.*frame-ancestors 'none'/)
    expect.soft(headers.has('access-control-allow-origin')).toBe(false)
    expect.soft(headers.has('set-cookie')).toBe(false)
  }
  for (const { headers } of answers.filter(({ status }) => status >= 400)) {
    expect.soft(headers.get('content-type')).toBe('application/json; charset=utf-8')
  }
})

test('[C6] one address that asks too often is told so in JSON', async ({ database }) => {
  await using limited = await startTestBroker(database, { env: { AUTH_RATE_LIMIT_PER_MINUTE: '2' } })
  await earlyInTheMinute()
  const answers = [await readSchema(limited, 'x'), await readSchema(limited, 'x'), await readSchema(limited, 'x')]
  expect(answers.map(({ status }) => status)).toEqual([400, 400, 429])
  expect(answers[2]?.body).toMatchObject({ code: 'rate_limited' })
  expect(answers[2]?.headers.get('retry-after')).toMatch(/^\d+$/)
})

test('the page’s attempts and the form’s are of one handshake: ten that lie open keep nobody out', async ({
  broker,
  database,
}) => {
  const { state, connection_id } = await requestStatic(broker)
  await database.pool.query(
    `insert into handshake_attempts (id, handshake_id, jti_hash, cookie_hash, expires_at)
     select gen_random_uuid(), h.id, decode(md5(n::text || h.id::text), 'hex'), '\\x00', now() + interval '30 minutes'
       from handshakes h, generate_series(1, 10) n where h.connection_id = $1`,
    [connection_id],
  )
  expect((await capture(broker, state)).status).toBe(200)
  expect(await storedKey(broker, connection_id)).toBe(goodKey)
})

test('an Idempotency-Key that comes again gets the same connection with a fresh state, and one of them is used', async ({
  broker,
}) => {
  const { name } = await registerStatic(broker)
  const request = async () => {
    const spec = { workspace_id: 'user-1', provider_name: name }
    const headers = { 'idempotency-key': `key-${name}` }
    return (await broker.post<{ state: string; connection_id: string }>('/auth/consent-spec', spec, { headers })).body
  }
  const [first, second] = [await request(), await request()]
  expect(second.connection_id).toBe(first.connection_id)
  expect(second.state).not.toBe(first.state)
  expect((await capture(broker, first.state)).status).toBe(200)
  expect(await capture(broker, second.state)).toMatchObject({ status: 409, body: { code: 'already_completed' } })
})
