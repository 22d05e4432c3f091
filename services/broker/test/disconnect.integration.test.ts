import { randomBytes, randomUUID } from 'node:crypto'
import { answers } from '@nexus/testing'
import { expect } from 'vitest'
import { connect, openConnection, openPlainConnection } from './connection-scene.ts'
import { dumpTables } from './database-tools.ts'
import {
  answersDisconnected,
  disconnect,
  hasToken,
  issuedTokens,
  makeDue,
  revocationsOf,
  revokedAt,
  waitUntilSettled,
} from './disconnect-scene.ts'
import {
  arrive,
  auditOf,
  connectionOf,
  eventsOf,
  openLink,
  openProvider,
  returned,
  send,
  test,
  travel,
} from './handshake-scene.ts'
import { readToken, requestConnection, startTestBroker } from './harness.ts'
import { findLeaks } from './leak-scene.ts'

const { done, nothing, queued, unsupported } = answersDisconnected

test('[P6] a disconnected account is revoked at its provider, the refresh token first', async ({
  broker,
  database,
}) => {
  const { provider, id } = await openPlainConnection(broker)
  expect(await disconnect(broker, id)).toMatchObject({ status: 200, body: done })
  expect(revokedAt(provider)).toEqual(issuedTokens(provider).both)

  expect(await connectionOf(broker, id)).toMatchObject({ status: 'revoked', status_reason: 'disconnected' })
  expect(await readToken(broker, id)).toMatchObject({
    status: 409,
    body: { code: 'connection_not_active', details: { status: 'revoked' } },
  })
  expect(await broker.post(`/connections/${id}/refresh`)).toMatchObject({ status: expect.any(Number) })
  expect(await hasToken(database.pool, id)).toBe(false)
  expect(await revocationsOf(database.pool, id)).toEqual([])
  const events = (await eventsOf(broker, id)).filter(({ event }) => /^connection.dis|^revocation/.test(event))
  expect(events).toMatchObject([
    { event: 'connection.disconnected', outcome: 'success', actor_kind: 'gateway', token_version: 1 },
    { event: 'revocation.queued', actor_kind: 'gateway', zone: 'root', provider_id: provider.providerId },
    { event: 'revocation.done', actor_kind: 'gateway', data: { refresh_token: 'success', access_token: 'success' } },
  ])
})

test('disconnecting again does nothing, and tells the same', async ({ broker }) => {
  const { provider, id } = await openPlainConnection(broker)
  await disconnect(broker, id)
  const [before, calls] = [await auditOf(broker, id), provider.requestsTo('revocation').length]
  expect(await disconnect(broker, id)).toMatchObject({ status: 200, body: done })
  expect(await auditOf(broker, id)).toEqual(before)
  expect(provider.requestsTo('revocation')).toHaveLength(calls)
})

test('[P6] without a refresh token the access token is revoked', async ({ broker }) => {
  const { provider, id } = await openPlainConnection(broker, { refreshTokens: 'none' })
  expect((await disconnect(broker, id)).body).toEqual(done)
  expect(revokedAt(provider)).toEqual([issuedTokens(provider).access])
})

test.for([
  ['refuses one', answers.oauthError('invalid_request'), 'revocation.refused invalid_request'],
  ['cannot revoke one', answers.oauthError('unsupported_token_type'), 'revocation.unsupported unsupported'],
] as const)(
  '[P6] a provider that %s of the tokens is still told of the other',
  async ([, answer, event], { broker, database }) => {
    const { provider, id } = await openPlainConnection(broker)
    provider.next('revocation', answer)
    const told = await disconnect(broker, id)
    expect(told.body, 'the grant may live on').toEqual(unsupported)
    expect(revokedAt(provider)).toEqual(issuedTokens(provider).both)
    expect(await auditOf(broker, id)).toContain(event)
    expect(await revocationsOf(database.pool, id)).toEqual([])
    expect((await disconnect(broker, id)).body).toEqual(unsupported)

    const other = await connect(broker, provider)
    provider.next('revocation', ({ honest }) => honest(), answer)
    expect((await disconnect(broker, other)).body, 'the grant went with its refresh token').toEqual(done)
  },
)

test.for([
  ['says 503', answers.serverError(503, 1)],
  ['says 429', answers.tooManyRequests(1)],
  ['breaks the connection', answers.cutConnection()],
  ['answers by half', answers.cutMidway()],
  ['refuses our client', answers.oauthError('invalid_client', { status: 401 })],
] as const)(
  '[P6] a provider that %s is told later, in the background',
  async ([, answer], { broker, database: { pool } }) => {
    const { provider, id } = await openPlainConnection(broker)
    provider.next('revocation', answer)
    expect(await disconnect(broker, id)).toMatchObject({ status: 200, body: queued })
    expect(revokedAt(provider), 'the access token waits for the refresh token').toEqual([
      issuedTokens(provider).refresh,
    ])
    expect((await disconnect(broker, id)).body, 'it is still owed').toEqual(queued)
    expect(await readToken(broker, id), 'here it is over').toMatchObject({ status: 409 })

    await makeDue(pool, id)
    await waitUntilSettled(pool, id)
    expect(revokedAt(provider).slice(1)).toEqual(issuedTokens(provider).both)
    expect((await disconnect(broker, id)).body).toEqual(done)
    expect((await eventsOf(broker, id)).at(-1)).toMatchObject({ event: 'revocation.done', actor_kind: 'system' })
  },
)

test('[P6] a provider that takes longer than 5 seconds is told later, and the caller waits no longer', async ({
  broker,
  database: { pool },
}) => {
  const { provider, id } = await openPlainConnection(broker)
  provider.next('revocation', answers.stall())
  const startedAt = performance.now()
  expect(await disconnect(broker, id)).toMatchObject({ status: 200, body: queued })
  expect(performance.now() - startedAt).toBeGreaterThan(4_500)
  expect(performance.now() - startedAt).toBeLessThan(8_000)
  await makeDue(pool, id)
  await waitUntilSettled(pool, id)
  expect((await disconnect(broker, id)).body).toEqual(done)
})

test.for([
  ['a profile that says revocation: none', { revocation: 'none' }, {}],
  ['a provider without a revocation endpoint', {}, { revocation_endpoint: undefined }],
] as const)(
  '%s: the secrets are forgotten, and nobody is asked',
  async ([, profile, metadata], { broker, database }) => {
    const { provider, id } = await openConnection(broker, { profile, provider: { behaviour: { metadata } } })
    expect(await disconnect(broker, id)).toMatchObject({ status: 200, body: unsupported })
    expect(provider.requestsTo('revocation')).toEqual([])
    expect(await hasToken(database.pool, id)).toBe(false)
    expect(await revocationsOf(database.pool, id)).toEqual([])
    expect((await disconnect(broker, id)).body).toEqual(unsupported)
  },
)

test('a connection that waits for its user: the link opens no more, and what is under way ends', async ({
  broker,
  database,
}) => {
  const provider = await openProvider(broker)
  const journey = await travel(broker, provider)
  const id = journey.connection_id
  expect(await disconnect(broker, id)).toMatchObject({ status: 200, body: nothing })
  expect(await connectionOf(broker, id)).toMatchObject({ status: 'revoked' })
  expect(await send(journey.authUrl)).toMatchObject({ status: 410, location: undefined })
  expect(returned(await arrive(journey))).toMatchObject({ status: 'error', error: 'already_completed' })
  expect(provider.requestsTo('token'), 'the code stays unspent').toEqual([])
  const { rows } = await database.pool.query(
    `select a.secrets, a.key_id, h.outcome from handshake_attempts a join handshakes h on h.id = a.handshake_id
      where h.connection_id = $1`,
    [id],
  )
  expect(rows, '[H5] verifier and nonce are forgotten').toEqual([{ secrets: null, key_id: null, outcome: 'error' }])
  expect((await disconnect(broker, id)).body).toEqual(nothing)
  expect(await connectionOf(broker, id)).toMatchObject({ status: 'revoked' })
})

test('a connection that failed or expired can be disconnected too, and is not revived by its Idempotency-Key', async ({
  broker,
  database,
}) => {
  const provider = await openProvider(broker)
  const failing = await travel(broker, provider)
  provider.next('token', answers.oauthError('invalid_grant'))
  await arrive(failing)
  const ask = () =>
    broker.post<{ connection_id: string }>(
      '/auth/consent-spec',
      { workspace_id: 'u', provider_name: provider.name },
      { headers: { 'idempotency-key': 'disconnected' } },
    )
  const expired = (await ask()).body.connection_id
  await database.pool.query(`update connections set status = 'expired' where id = $1`, [expired])
  for (const id of [failing.connection_id, expired]) {
    expect(await disconnect(broker, id)).toMatchObject({ status: 200, body: nothing })
    expect(await connectionOf(broker, id)).toMatchObject({ status: 'revoked' })
  }
  expect(await ask()).toMatchObject({ status: 409, body: { code: 'already_completed' } })
})

test('what does not exist is 404, and what is no id is 400', async ({ broker }) => {
  expect(await disconnect(broker, randomUUID())).toMatchObject({ status: 404, body: { code: 'connection_not_found' } })
  expect(await disconnect(broker, 'nonsense')).toMatchObject({ status: 400 })
})

test('[P6] no secret of a disconnected account stands in the database or in the log, owed or not', async ({
  broker,
  database: { pool },
}) => {
  const over = await openPlainConnection(broker)
  const owing = await openPlainConnection(broker)
  const waiting = await openLink((await requestConnection(broker, { provider_name: owing.provider.name })).authUrl)
  owing.provider.always('revocation', answers.serverError(503, 60))
  await disconnect(broker, over.id)
  expect((await disconnect(broker, owing.id)).body).toEqual(queued)

  const issued = [...over.provider.secrets(), ...owing.provider.secrets(), waiting.state]
  const secrets = new Map(issued.map((secret) => [secret.slice(0, 8), secret]))
  expect(secrets.size).toBeGreaterThan(4)
  const dump = await dumpTables(pool)
  expect(dump, 'there is one owed').toContain(`revocations ${(await revocationsOf(pool, owing.id))[0]?.id}`)
  expect(findLeaks(dump, secrets)).toEqual([])
  expect(findLeaks(broker.logs.text(), secrets)).toEqual([])
  const { rows } = await pool.query('select encode(tokens, $2) as bytes from revocations where connection_id = $1', [
    owing.id,
    'hex',
  ])
  expect(rows[0]?.bytes, 'sealed').toMatch(/^01/)
})

/** The envelope names a key that nobody has (data.md, Vault envelope). */
const strangeKey = `credentials = substring(credentials for 1) || '\\xdeadbeef'::bytea || substring(credentials from 6),
  key_id = '\\xdeadbeef'::bytea`

test.for([
  ['are damaged', 'vault_integrity', `credentials = set_byte(credentials, 30, get_byte(credentials, 30) # 1)`],
  ['need a key that is not there', 'key_unavailable', strangeKey],
] as const)(
  'secrets that %s are forgotten all the same',
  async ([, reason, damage], { broker, database: { pool } }) => {
    const { provider, id } = await openPlainConnection(broker)
    await pool.query(`update tokens set ${damage} where connection_id = $1`, [id])
    expect(await disconnect(broker, id)).toMatchObject({ status: 200, body: unsupported })
    expect(await connectionOf(broker, id)).toMatchObject({ status: 'revoked' })
    expect(await hasToken(pool, id)).toBe(false)
    expect(provider.requestsTo('revocation')).toEqual([])
    const recorded = (await eventsOf(broker, id)).find(({ event }) => event === 'connection.disconnected')
    expect(recorded?.data).toEqual({ revocation: 'unsupported', reason })
    expect((await disconnect(broker, id)).body).toEqual(unsupported)
  },
)

test('whoever wants notices is told, once', async ({ broker, database }) => {
  const noticesOf = async (id: string) =>
    (await database.pool.query(`select type, data from notices where data->>'connection_id' = $1`, [id])).rows
  const quiet = await openPlainConnection(broker)
  await disconnect(broker, quiet.id)
  expect(await noticesOf(quiet.id), 'no WEBHOOK_URL, no notice').toEqual([])

  const env = { WEBHOOK_URL: 'http://127.0.0.1:9/hook', WEBHOOK_SECRET: `whsec_${randomBytes(32).toString('base64')}` }
  await using telling = await startTestBroker(database, { env })
  const { id } = await openPlainConnection(broker)
  await disconnect(telling, id)
  await disconnect(telling, id)
  const revoked = (await noticesOf(id)).filter(({ type }) => type === 'connection.revoked')
  expect(revoked).toMatchObject([{ data: { status: 'revoked', status_reason: 'disconnected' } }])
})
