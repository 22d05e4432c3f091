import { randomBytes } from 'node:crypto'
import { answers } from '@nexus/testing'
import { expect } from 'vitest'
import { openConnection, openPlainConnection } from './connection-scene.ts'
import { setSecondsLeft, tokenRow } from './database-tools.ts'
import {
  arrive,
  auditOf,
  connectionOf,
  consent,
  eventsOf,
  openLink,
  openProvider,
  returned,
  send,
  staticEndpoints,
  test,
} from './handshake-scene.ts'
import { type Client, appUrl, readToken, requestConnection, startTestBroker } from './harness.ts'
import { issued, owedTokens, reconnect, requestReconnect, setStatus, travelAgain } from './reconnect-scene.ts'

/** The app of a person whose reconnect succeeded. */
const success = (id: string, name: string) => ({ from: 'app', status: 'success', connection_id: id, provider: name })

test('[H3] an active connection serves its old token until the callback, and the new one after it', async ({
  broker,
  database,
}) => {
  const { provider, id } = await openConnection(broker)
  const before = await connectionOf(broker, id)
  const served = async () => (await readToken(broker, id)).body.access_token
  const answer = await reconnect(broker, id)
  expect(answer).toMatchObject({ status: 200, headers: expect.anything() })
  expect(answer.headers.get('cache-control')).toBe('no-store')
  expect(answer.body).toEqual({
    authUrl: expect.stringMatching(/\/auth\/connect\/[\w-]{43}$/),
    state: expect.any(String),
    scopes: ['openid', 'read'],
    provider_id: provider.providerId,
    connection_id: id,
    expires_at: expect.stringMatching(/Z$/),
  })
  expect(await connectionOf(broker, id)).toEqual(before)

  const departure = await openLink(answer.body.authUrl)
  const callback = await consent(departure)
  expect(await served()).toBe(issued(provider, 'access')[0])
  expect(returned(await send(callback, { cookie: departure.cookie }))).toEqual(success(id, provider.name))

  expect(await served()).toBe(issued(provider, 'access')[1])
  expect(await connectionOf(broker, id)).toMatchObject({
    status: 'active',
    status_reason: null,
    created_at: before.created_at,
    account: before.account,
  })
  expect((await tokenRow(database.pool, id)).version).toBe(2)
  expect(await auditOf(broker, id)).toEqual(
    expect.arrayContaining(['connection.reconnect_requested success', 'connection.reconnected success']),
  )
  const { rows } = await database.pool.query('select from revocations where connection_id = $1', [id])
  expect(rows, 'nothing of the old grant is revoked').toEqual([])
  expect(provider.violations).toEqual([])
})

test('the new grant is refreshed from then on, and the old refresh token is never presented again', async ({
  broker,
  database,
}) => {
  const { provider, id } = await openPlainConnection(broker)
  await arrive(await travelAgain(broker, id))
  await setSecondsLeft(database.pool, id, -1)
  expect((await readToken(broker, id)).body.access_token).toBe(issued(provider, 'access')[2])
  const presented = provider.requestsTo('token').at(-1)?.form.get('refresh_token')
  expect(presented).toBe(issued(provider, 'refresh')[1])
  expect(provider.counts()).toMatchObject({ refreshRequests: 1, supersededPresentations: 0 })
})

test.for(['attention_required', 'failed', 'expired', 'expired, not yet swept'])(
  'a connection that is %s becomes active with the new grant, and keeps its status until then',
  async (status, { broker, database }) => {
    const provider = await openProvider(broker)
    const isConnected = status === 'attention_required'
    const { id } = isConnected ? await openConnection(broker) : await waiting(broker, provider.name)
    await setStatus(database.pool, id, status)
    const before = await connectionOf(broker, id)
    expect(before.status).toBe(status.split(',', 1)[0])

    const journey = await travelAgain(broker, id)
    expect(await connectionOf(broker, id)).toEqual(before)
    expect(returned(await arrive(journey))).toMatchObject({ status: 'success', connection_id: id })
    expect(await connectionOf(broker, id)).toMatchObject({ status: 'active', status_reason: null })
    expect((await readToken(broker, id)).status).toBe(200)
    expect((await tokenRow(database.pool, id)).version).toBe(isConnected ? 2 : 1)
    const [reconnected] = (await eventsOf(broker, id)).filter(({ event }) => event === 'connection.reconnected')
    expect(reconnected).toMatchObject({
      outcome: 'success',
      token_version: isConnected ? 2 : 1,
      data: { status: before.status, account_changed: false },
    })
  },
)

async function waiting(broker: Client, provider: string, spec: Readonly<Record<string, unknown>> = {}) {
  const { authUrl, connection_id: id } = await requestConnection(broker, { provider_name: provider, ...spec })
  return { authUrl, id }
}

test('a pending connection gets a new link for its first grant, with what was asked anew', async ({
  broker,
  database,
}) => {
  const provider = await openProvider(broker)
  const first = await waiting(broker, provider.name, { metadata: { team: 'a' } })
  await database.pool.query(`update connections set pending_until = now() + interval '1 minute' where id = $1`, [
    first.id,
  ])
  const second = await requestReconnect(broker, first.id, { scopes: ['openid'], metadata: { team: 'b' } })
  expect(second.scopes).toEqual(['openid'])
  const { rows } = await database.pool.query(
    `select c.pending_until > now() + interval '50 minutes' as prolonged from connections c where c.id = $1`,
    [first.id],
  )
  expect(rows).toEqual([{ prolonged: true }])
  expect(await connectionOf(broker, first.id)).toMatchObject({
    status: 'pending',
    scopes: ['openid', 'read'],
    metadata: { team: 'a' },
  })

  const departure = await openLink(second.authUrl)
  expect(departure.url.searchParams.get('scope')).toBe('openid')
  expect(returned(await send(await consent(departure), { cookie: departure.cookie }))).toMatchObject({
    status: 'success',
    connection_id: first.id,
  })
  expect(await connectionOf(broker, first.id)).toMatchObject({
    status: 'active',
    scopes: ['openid'],
    granted_scopes: ['openid'],
    metadata: { team: 'b' },
  })
  expect(await auditOf(broker, first.id)).toContain('oauth_flow_completed success')
})

test('a revoked connection is 409, an unknown one 404, and one of a removed profile 404', async ({
  broker,
  database,
}) => {
  const { provider, id } = await openConnection(broker)
  const other = await openConnection(broker)
  await setStatus(database.pool, id, 'revoked')
  expect(await reconnect(broker, id)).toMatchObject({
    status: 409,
    body: { code: 'connection_not_active', details: { status: 'revoked' } },
  })
  expect(await reconnect(broker, '019ab000-0000-7000-8000-00000000dead')).toMatchObject({
    status: 404,
    body: { code: 'connection_not_found' },
  })
  await broker.send('DELETE', `/providers/${other.provider.providerId}`)
  expect(await reconnect(broker, other.id)).toMatchObject({ status: 404, body: { code: 'provider_not_found' } })
  expect(provider.requestsTo('authorize')).toHaveLength(1)
})

test('scopes and metadata become those of the connection with the new grant, and not before', async ({ broker }) => {
  const { provider, id } = await openPlainConnection(broker, {}, { scopes: ['read', 'write'] })
  const metadata = { note: 'ü', deep: [1e300, { a: null }] }
  const journey = await travelAgain(broker, id, { scopes: ['write'], metadata })
  expect(journey.url.searchParams.get('scope')).toBe('write')
  expect(await connectionOf(broker, id)).toMatchObject({
    scopes: ['read', 'write'],
    granted_scopes: ['read', 'write'],
    metadata: {},
  })
  await arrive(journey)
  expect(await connectionOf(broker, id)).toMatchObject({ scopes: ['write'], granted_scopes: ['write'], metadata })

  // who asks for nothing keeps what the connection has, not what the profile lists
  const again = await travelAgain(broker, id)
  expect(again.url.searchParams.get('scope')).toBe('write')
  provider.behave({ token: { scope: 'read' } })
  await arrive(again)
  expect(await connectionOf(broker, id)).toMatchObject({ scopes: ['write'], granted_scopes: ['read'], metadata })
})

test('scopes that the profile no longer lists are left out unless they are asked for', async ({ broker }) => {
  const { provider, id } = await openPlainConnection(broker, {}, { scopes: ['read', 'write'] })
  const narrowed = await broker.send('PATCH', `/providers/${provider.providerId}`, { body: { scopes: ['read'] } })
  expect(narrowed.status).toBe(200)
  expect((await requestReconnect(broker, id)).scopes).toEqual(['read'])
  expect((await requestReconnect(broker, id, { scopes: [] })).scopes).toEqual(['read'])
  expect(await reconnect(broker, id, { scopes: ['write'] })).toMatchObject({
    status: 422,
    body: { code: 'scope_not_allowed', details: { scopes: ['write'] } },
  })
})

test('the account may change where the request says so', async ({ broker }) => {
  const { provider, id } = await openConnection(broker)
  provider.behave({ authorization: { subject: 'bob' } })
  expect(returned(await arrive(await travelAgain(broker, id, { allow_account_change: true })))).toMatchObject({
    status: 'success',
  })
  expect(await connectionOf(broker, id)).toMatchObject({ status: 'active', account: { subject: 'bob' } })
  const [reconnected] = (await eventsOf(broker, id)).filter(({ event }) => event === 'connection.reconnected')
  expect(reconnected?.data).toMatchObject({ account_changed: true })

  // nobody in particular is another account, too
  await arrive(await travelAgain(broker, id, { allow_account_change: true, scopes: ['read'] }))
  expect(await connectionOf(broker, id)).toMatchObject({ status: 'active', account: null, scopes: ['read'] })
})

test('plain OAuth names no account: there is nothing to compare', async ({ broker }) => {
  const { provider, id } = await openConnection(broker, { profile: staticEndpoints })
  expect((await connectionOf(broker, id)).account).toBeNull()
  provider.behave({ authorization: { subject: 'bob' } })
  expect(returned(await arrive(await travelAgain(broker, id)))).toMatchObject({ status: 'success' })
  expect((await readToken(broker, id)).body.access_token).toBe(issued(provider, 'access')[1])
})

test('without a return_url the person ends on a page that says all is done', async ({ broker }) => {
  const { id } = await openConnection(broker)
  const landed = await arrive(await travelAgain(broker, id, { return_url: undefined }))
  expect(landed).toMatchObject({ status: 200, location: undefined })
  expect(landed.text).toContain('All done')
})

test.for([
  ['token_only', true],
  ['grant', false],
  ['none', false],
] as const)(
  '[P6] where a revocation ends "%s", the replaced tokens are owed one: %s',
  async ([revocation, isOwed], { broker, database }) => {
    const { provider, id } = await openPlainConnection(broker, {}, { revocation })
    await arrive(await travelAgain(broker, id))
    const owed = await owedTokens(database.pool, provider, id)
    const old = [issued(provider, 'refresh')[0] ?? '', issued(provider, 'access')[0] ?? '']
    expect([...owed].filter((token) => !old.includes(token))).toEqual([])
    expect(owed.has(old[0] ?? ''), 'the old refresh token').toBe(isOwed)
    expect((await auditOf(broker, id)).includes('revocation.queued success')).toBe(isOwed)
    expect((await readToken(broker, id)).body.access_token).toBe(issued(provider, 'access')[1])
  },
)

test('[P6] what a provider hands out again with the new grant is in use, and not revoked', async ({
  broker,
  database,
}) => {
  const { provider, id } = await openPlainConnection(broker, {}, { revocation: 'token_only' })
  const [refreshToken, accessToken] = [issued(provider, 'refresh')[0] ?? '', issued(provider, 'access')[0] ?? '']
  provider.next('token', answers.alter({ refresh_token: refreshToken }))
  await arrive(await travelAgain(broker, id))
  expect([...(await owedTokens(database.pool, provider, id))]).toEqual([accessToken])
  provider.next('token', answers.alter({ access_token: issued(provider, 'access')[1] }))
  await arrive(await travelAgain(broker, id))
  expect([...(await owedTokens(database.pool, provider, id))]).toEqual([accessToken])
})

test('replaced tokens that do not open any more keep nobody from reconnecting', async ({ broker, database }) => {
  const { provider, id } = await openPlainConnection(broker, {}, { revocation: 'token_only' })
  await database.pool.query(`update tokens set credentials = set_byte(credentials, 30, 1) where connection_id = $1`, [
    id,
  ])
  expect(await readToken(broker, id)).toMatchObject({ status: 500, body: { code: 'vault_integrity' } })
  expect(returned(await arrive(await travelAgain(broker, id)))).toMatchObject({ status: 'success' })
  expect((await readToken(broker, id)).body.access_token).toBe(issued(provider, 'access')[1])
  expect((await owedTokens(database.pool, provider, id)).size).toBe(0)
})

test('that a connection is active again is told to webhooks, once, and only where it was not', async ({ database }) => {
  const WEBHOOK_SECRET = `whsec_${randomBytes(32).toString('base64')}`
  // nobody listens there
  const env = { WEBHOOK_URL: 'http://127.0.0.1:1/hook', WEBHOOK_SECRET, AUTH_RATE_LIMIT_PER_MINUTE: '0' }
  await using broker = await startTestBroker(database, { env })
  const { id } = await openConnection(broker)
  const notices = async () => {
    const { rows } = await database.pool.query(
      `select type, data->>'status' as status from notices where data->>'connection_id' = $1`,
      [id],
    )
    return rows
  }
  await arrive(await travelAgain(broker, id))
  expect(await notices()).toEqual([])
  await setStatus(database.pool, id, 'attention_required')
  await arrive(await travelAgain(broker, id))
  expect(await notices()).toEqual([{ type: 'connection.active', status: 'active' }])
})

test('[H10] a return_url that is not allowed is refused, and the links there are stay good', async ({ broker }) => {
  const { id } = await openConnection(broker)
  const { authUrl } = await requestReconnect(broker, id)
  for (const [wanted, code] of [
    [{ return_url: 'https://evil.example' }, 'return_url_not_allowed'],
    [{ scopes: ['admin'] }, 'scope_not_allowed'],
    [{ return_url: appUrl, provider_name: 'x' }, 'invalid_request'],
  ] as const) {
    expect((await reconnect(broker, id, wanted)).body).toMatchObject({ code })
  }
  expect(await send(authUrl)).toMatchObject({ status: 303 })
})
