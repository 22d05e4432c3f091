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
import { waitForBlocked, whileLocked } from './database-tools.ts'
import { auditOf, connectionOf, holdHandshake, send, test } from './handshake-scene.ts'
import { requestConnection, startTestBroker } from './harness.ts'
import { everythingOf, requestReconnect, setStatus } from './reconnect-scene.ts'

const unlimited = { AUTH_RATE_LIMIT_PER_MINUTE: '0' }

/** Holds storing back, and neither what comes before it nor anybody else: the profile is looked at when a grant is placed. */
const holdProfile = (providerId: string): string =>
  `select 1 from provider_profiles where id = '${providerId}' for update`

test('[H2] of 50 identical submissions over two Brokers one is stored, and no other says that it was', async ({
  broker,
  database,
}) => {
  await using other = await startTestBroker(database, { env: unlimited })
  const { state, connection_id } = await requestStatic(broker)
  const answers = await Promise.all(
    Array.from({ length: 50 }, (_, index) => capture(index % 2 === 0 ? broker : other, state)),
  )
  const statuses = answers.map(({ status }) => status)
  expect(statuses.filter((status) => status === 200)).toHaveLength(1)
  // 503: one of so many attempts that it gave way to the others; nothing of it was stored
  expect(new Set(statuses.filter((status) => status !== 200)).difference(new Set([409, 503]))).toEqual(new Set())
  const { rows } = await database.pool.query('select version from tokens where connection_id = $1', [connection_id])
  expect(rows).toEqual([{ version: 1 }])
  const captured = (await auditOf(broker, connection_id)).filter((line) => line.startsWith('credential_captured'))
  expect(captured).toEqual(['credential_captured success'])
  expect(await storedKey(other, connection_id)).toBe(goodKey)
})

test('[H2] two people who type in different keys at once: the one who is told so has theirs stored', async ({
  broker,
  database,
}) => {
  await using other = await startTestBroker(database, { env: unlimited })
  const { state, connection_id } = await requestStatic(broker)
  const keys = ['first-key-1234567', 'second-key-123456']
  const answers = await Promise.all(
    keys.map((api_key, index) => capture(index === 0 ? broker : other, state, { api_key })),
  )
  expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200, 409]))
  expect(await storedKey(broker, connection_id)).toBe(keys[answers.findIndex(({ status }) => status === 200)])
})

test('keys that the provider refuses are not kept, and the next one may be typed in', async ({ broker }) => {
  const api = await startApi()
  const { state, connection_id } = await requestStatic(broker, triedAt(api))
  const refused = await capture(broker, state, { api_key: 'sk_live_wrong-canary' })
  expect(refused).toMatchObject({
    status: 422,
    body: { code: 'invalid_credentials', details: { reason: 'not_accepted' } },
  })
  expect(refused.body.message).toBe('The provider did not accept these credentials')
  expect(await connectionOf(broker, connection_id)).toMatchObject({ status: 'pending' })
  expect((await capture(broker, state)).status).toBe(200)
  expect(api.requests.map(({ url, headers }) => [url, headers.authorization])).toEqual([
    ['/v1/me', 'Bearer sk_live_wrong-canary'],
    ['/v1/me', `Bearer ${goodKey}`],
  ])
  expect((await auditOf(broker, connection_id)).slice(1)).toEqual([
    'credential_refused not_accepted',
    'credential_captured success',
  ])
  for (const text of ['sk_live_wrong-canary', goodKey, 'text-of-the-provider']) {
    expect(broker.logs.text()).not.toContain(text)
    expect(refused.text).not.toContain(text)
  }
})

test('where the provider cannot be asked, the profile says what then', async ({ broker }) => {
  const api = await startApi()
  api.answer(503)
  const required = await requestStatic(broker, triedAt(api, { verify: 'required' }))
  const best = await requestStatic(broker, triedAt(api, { verify: 'best_effort' }))
  const off = await requestStatic(broker, triedAt(api, { verify: 'off' }))

  const waiting = await capture(broker, required.state)
  expect(waiting).toMatchObject({ status: 502, body: { code: 'provider_unavailable' } })
  expect(waiting.headers.get('retry-after')).toMatch(/^\d+$/)
  expect(await auditOf(broker, required.connection_id)).toContain('credential_refused not_verifiable')
  expect(await connectionOf(broker, required.connection_id)).toMatchObject({ status: 'pending' })
  expect((await capture(broker, best.state)).status).toBe(200)
  expect(api.requests).toHaveLength(2)
  expect((await capture(broker, off.state)).status).toBe(200)
  expect(api.requests, 'with verify off nobody is asked').toHaveLength(2)

  api.answer(200)
  expect((await capture(broker, required.state)).status).toBe(200)
})

test('the form is no oracle: a link has 20 tries at the provider, over all Brokers and at whatever pace', async ({
  broker,
  database,
}) => {
  await using other = await startTestBroker(database, { env: unlimited })
  const api = await startApi()
  const { state, connection_id, authUrl } = await requestStatic(broker, triedAt(api))
  const letGo = api.hold()
  const flood = Array.from({ length: 30 }, (_, index) =>
    capture(index % 2 === 0 ? broker : other, state, { api_key: `stolen-key-${index}` }),
  )
  await api.waitForRequests(20)
  letGo()
  const statuses = (await Promise.all(flood)).map(({ status }) => status)
  expect(statuses.filter((status) => status === 422)).toHaveLength(20)
  expect(statuses.filter((status) => status === 410)).toHaveLength(10)
  expect(api.requests).toHaveLength(20)

  expect(await capture(other, state)).toMatchObject({ status: 410, body: { code: 'link_expired' } })
  expect(api.requests, 'the right key is not asked about either').toHaveLength(20)
  expect((await readSchema(other, state)).status).toBe(410)
  expect((await send(authUrl)).status, 'the page of the link is no other way').toBe(410)
  expect(await auditOf(broker, connection_id)).toContain('credential_refused too_many_tries')
  // nobody failed the connection: a new link has tries of its own (H11)
  expect(await connectionOf(broker, connection_id)).toMatchObject({ status: 'pending' })
  const renewed = await requestReconnect(broker, connection_id)
  expect((await capture(broker, renewed.state)).status).toBe(200)
})

test('typing errors cost no try', async ({ broker }) => {
  const api = await startApi()
  const { state } = await requestStatic(broker, triedAt(api))
  for (let count = 0; count < 25; count += 1) {
    expect((await capture(broker, state, { api_key: 'two\nlines' })).status).toBe(422)
  }
  expect(api.requests).toEqual([])
  expect((await capture(broker, state)).status).toBe(200)
})

test('[P6] disconnected while a credential is stored: it is not, and the connection stays disconnected', async ({
  broker,
  database,
}) => {
  const { state, connection_id, providerId } = await requestStatic(broker)
  const answer = await whileLocked(database.pool, holdProfile(providerId), async () => {
    const submitting = capture(broker, state)
    await waitForBlocked(database.pool)
    await setStatus(database.pool, connection_id, 'revoked')
    return { submitting }
  })
  expect(await answer.submitting).toMatchObject({ status: 409, body: { code: 'already_completed' } })
  expect(await everythingOf(database.pool, connection_id)).toMatchObject({
    connection: { status: 'revoked' },
    token: null,
  })
  expect(await auditOf(broker, connection_id)).toContain('credential_refused already_completed')
})

test('a newer link takes the place of one whose key is being tried: only the newer one connects', async ({
  broker,
}) => {
  const api = await startApi()
  const first = await requestStatic(broker, triedAt(api))
  const letGo = api.hold()
  const submitting = capture(broker, first.state)
  await api.waitForRequests(1)
  const renewed = await requestReconnect(broker, first.connection_id)
  letGo()
  expect(await submitting).toMatchObject({ status: 410, body: { code: 'link_expired' } })
  expect(await readSchema(broker, first.state)).toMatchObject({ status: 410 })
  expect(await connectionOf(broker, first.connection_id)).toMatchObject({ status: 'pending' })
  expect((await capture(broker, renewed.state)).status).toBe(200)
})

test('[H8] a profile that moves between finding the link and trying the key is not told it', async ({
  broker,
  database,
}) => {
  const [api, other] = [await startApi(), await startApi()]
  const { state, connection_id, providerId } = await requestStatic(broker, triedAt(api))
  const handshake = await holdHandshake(database, connection_id)
  const submitting = capture(broker, state)
  await handshake.waitForOthers(1)
  const moved = await broker.send('PATCH', `/providers/${providerId}`, { body: triedAt(other) })
  expect(moved.status, moved.text).toBe(200)
  await handshake.release()
  expect(await submitting).toMatchObject({ status: 410, body: { code: 'link_expired' } })
  expect([...api.requests, ...other.requests]).toEqual([])
  expect(await auditOf(broker, connection_id)).toContain('credential_refused profile_changed')
})

test('[A3] a profile that moves while a key is tried gets nothing of what was typed in', async ({ broker }) => {
  const [api, other] = [await startApi(), await startApi()]
  const { state, connection_id, providerId } = await requestStatic(broker, triedAt(api))
  const letGo = api.hold()
  const submitting = capture(broker, state)
  await api.waitForRequests(1)
  const moved = await broker.send('PATCH', `/providers/${providerId}`, { body: triedAt(other) })
  expect(moved.status, moved.text).toBe(200)
  letGo()
  expect(await submitting).toMatchObject({ status: 410, body: { code: 'link_expired' } })
  expect((await broker.get(`/connections/${connection_id}/token`)).status).toBe(409)
  expect(other.requests).toEqual([])
})

test('[R3] a reconnect keeps what there is until the new key is stored', async ({ broker, database }) => {
  const api = await startApi()
  const { state, connection_id } = await requestStatic(broker, triedAt(api, { verify: 'required' }))
  await capture(broker, state)
  const before = await everythingOf(database.pool, connection_id)
  const reconnect = await requestReconnect(broker, connection_id)
  expect((await readSchema(broker, reconnect.state)).status).toBe(200)

  const wrong = [{ api_key: 'wrong-key-1234567' }, { api_key: 'two\nlines' }, {}]
  for (const credentials of wrong) expect((await capture(broker, reconnect.state, credentials)).status).toBe(422)
  api.answer(500)
  expect((await capture(broker, reconnect.state)).status).toBe(502)
  expect(await everythingOf(database.pool, connection_id)).toEqual(before)
  expect(await storedKey(broker, connection_id)).toBe(goodKey)

  api.answer(200)
  const newKey = 'sk_live_the-new-key-of-theirs'
  expect((await capture(broker, reconnect.state, { api_key: newKey })).status).toBe(200)
  expect(await storedKey(broker, connection_id)).toBe(newKey)
  expect(await auditOf(broker, connection_id)).toContain('connection.reconnected success')
  expect((await capture(broker, reconnect.state)).status).toBe(409)
  const { rows } = await database.pool.query('select version from tokens where connection_id = $1', [connection_id])
  expect(rows).toEqual([{ version: 2 }])
})

test('[H3] a state changes the connection it names and no other', async ({ broker }) => {
  const { name } = await registerStatic(broker)
  const [mine, theirs] = [
    await requestConnection(broker, { provider_name: name }),
    await requestConnection(broker, { provider_name: name, workspace_id: 'user-2' }),
  ]
  await capture(broker, mine.state)
  expect(await connectionOf(broker, mine.connection_id)).toMatchObject({ status: 'active' })
  expect(await connectionOf(broker, theirs.connection_id)).toMatchObject({ status: 'pending' })
})
