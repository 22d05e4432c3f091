import { answers, migrateDatabase, startTcpProxy, startTemporaryCluster } from '@nexus/testing'
import pg from 'pg'
import { expect, vi } from 'vitest'
import { connect, openPlainConnection } from './connection-scene.ts'
import { waitForBlocked, whileLocked, passAcceptanceGrace } from './database-tools.ts'
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
  consent,
  openLink,
  openProvider,
  returned,
  send,
  test,
  travel,
} from './handshake-scene.ts'
import { makeKeys, readToken, spawnTestBroker, startTestBroker } from './harness.ts'

const { done, queued } = answersDisconnected
const timeout = 60_000

test('[P6] two Brokers disconnect one connection at once: one of them does it, and both say 200', async ({
  broker,
  database,
}) => {
  await using second = await startTestBroker(database)
  const { provider, id } = await openPlainConnection(broker)
  const told = await whileLocked(
    database.pool,
    `select from tokens where connection_id = '${id}' for update`,
    async () => {
      const both = [disconnect(broker, id), disconnect(second, id)]
      await waitForBlocked(database.pool, 2)
      return both
    },
  )
  const given = await Promise.all(told)
  expect(given.map(({ status }) => status)).toEqual([200, 200])
  expect(given.map(({ body }) => body)).toContainEqual(done)
  expect(revokedAt(provider)).toEqual(issuedTokens(provider).both)
  for (const event of ['connection.disconnected', 'revocation.queued', 'revocation.done']) {
    expect(await auditOf(broker, id), 'once').toSatisfy(
      (events: readonly string[]) => events.filter((line) => line === `${event} success`).length === 1,
    )
  }
})

test.for(['before', 'after'] as const)(
  '[P6] [R2] a Broker killed %s the provider revoked: another one does what is left',
  { timeout },
  async (position, { broker, database: { pool, ...database } }) => {
    await using dying = await spawnTestBroker(database)
    const { provider, id } = await openPlainConnection(broker)
    const gate = answers.createGate(position)
    provider.next('revocation', gate.step)
    const cut = disconnect(dying, id).catch(() => 'cut')
    await gate.arrived
    await dying.kill9()
    expect(await cut).toBe('cut')
    gate.open()

    expect(await readToken(broker, id), 'disconnected it is').toMatchObject({ status: 409 })
    expect((await disconnect(broker, id)).body).toEqual(queued)
    const [row] = await revocationsOf(pool, id)
    expect(row?.seconds_ahead, 'it comes due by itself, and not while it is attempted').toBeLessThanOrEqual(15)
    expect(row?.seconds_ahead).toBeGreaterThan(5)
    await makeDue(pool, id)
    await waitUntilSettled(pool, id)
    expect(revokedAt(provider).slice(1)).toEqual(issuedTokens(provider).both)
    expect((await disconnect(broker, id)).body).toEqual(done)
    expect(provider.violations).toEqual([])
  },
)

test('[P6] a grant that arrives after the connection was disconnected is not stored, and is revoked', async ({
  broker,
  database: { pool },
}) => {
  const provider = await openProvider(broker)
  const journey = await travel(broker, provider)
  const id = journey.connection_id
  const gate = answers.createGate('after')
  provider.next('token', gate.step)
  const arrival = arrive(journey)
  await gate.arrived
  expect(await disconnect(broker, id)).toMatchObject({ status: 200 })
  gate.open()
  expect(returned(await arrival)).toMatchObject({ status: 'error', error: 'already_completed' })

  expect(await connectionOf(broker, id)).toMatchObject({ status: 'revoked', status_reason: 'disconnected' })
  expect(await hasToken(pool, id)).toBe(false)
  await waitUntilSettled(pool, id)
  expect(revokedAt(provider)).toEqual(issuedTokens(provider).both)
  expect((await disconnect(broker, id)).body).toEqual(done)
  expect(await auditOf(broker, id)).toEqual([
    'connection.requested success',
    'connection.disconnected success',
    'oauth_error already_completed',
    'revocation.queued success',
    'revocation.done success',
  ])
})

test.for([
  ['after the connection was disconnected is revoked', true],
  ['on a connection that lives is left alone: revoking it could end the one that was stored', false],
] as const)('[P6] a second grant %s', async ([, isDisconnected], { broker, database: { pool } }) => {
  const provider = await openProvider(broker)
  const journey = await travel(broker, provider)
  const id = journey.connection_id
  const gate = answers.createGate('after')
  provider.next('token', gate.step)
  const slow = arrive(journey)
  await gate.arrived
  const late = issuedTokens(provider).both
  await passAcceptanceGrace(pool, id)
  const departure = await openLink(journey.authUrl)
  expect(returned(await send(await consent(departure), { cookie: departure.cookie }))).toMatchObject({
    status: 'success',
  })
  const stored = issuedTokens(provider).both
  if (isDisconnected) await disconnect(broker, id)
  gate.open()
  expect((await slow).status).toBe(303)
  await waitUntilSettled(pool, id)
  expect(revokedAt(provider)).toEqual(isDisconnected ? [...stored, ...late] : [])
  expect(await connectionOf(broker, id)).toMatchObject({ status: isDisconnected ? 'revoked' : 'active' })
})

test('[P6] a refresh whose answer comes after the disconnection: what it brought is revoked too', async ({
  broker,
  database: { pool },
}) => {
  const { provider, id } = await openPlainConnection(broker)
  const stored = issuedTokens(provider).both
  const gate = answers.createGate('after')
  provider.next('token', gate.step)
  const refreshing = broker.post(`/connections/${id}/refresh`)
  await gate.arrived
  const fresh = issuedTokens(provider).both
  expect((await disconnect(broker, id)).body).toEqual(done)
  gate.open()
  expect(await refreshing).toMatchObject({ status: 409, body: { code: 'connection_not_active' } })
  await vi.waitFor(() => expect(revokedAt(provider)).toEqual([...stored, ...fresh]), { timeout: 10_000 })
  await waitUntilSettled(pool, id)
  expect((await disconnect(broker, id)).body).toEqual(done)
  expect(await hasToken(pool, id)).toBe(false)
})

test('disconnected while it is refreshed, in any order and many times: it stays so, and nobody stands in a deadlock', async ({
  broker,
  database,
}) => {
  await using second = await startTestBroker(database)
  const { provider } = await openPlainConnection(broker)
  for (let round = 0; round < 15; round++) {
    const id = await connect(broker, provider)
    const [refreshing, ending, again] = await Promise.all([
      broker.post(`/connections/${id}/refresh`),
      disconnect(second, id),
      disconnect(broker, id),
      readToken(second, id),
    ])
    expect([200, 404, 409], refreshing.text).toContain(refreshing.status)
    expect([ending.status, again.status]).toEqual([200, 200])
    expect(await connectionOf(broker, id)).toMatchObject({ status: 'revoked', status_reason: 'disconnected' })
    expect(await hasToken(database.pool, id)).toBe(false)
    expect(await readToken(broker, id)).toMatchObject({ status: 409, body: { code: 'connection_not_active' } })
  }
  expect(provider.violations).toEqual([])
})

test.for([
  ['a refresh', ['tokens where connection_id', 'connections where id']],
  ['a handshake', ['handshakes where connection_id', 'connections where id', 'tokens where connection_id']],
] as const)(
  'it locks rows in the order in which %s does, so that neither waits for the other in a circle',
  async ([, [first, ...others]], { broker, database: { pool } }) => {
    const { id } = await openPlainConnection(broker)
    const holder = await pool.connect()
    try {
      // sooner than PostgreSQL would end a deadlock by failing one of the two
      await holder.query(`begin; set local lock_timeout = '500ms'`)
      await holder.query(`select from ${first} = $1 for no key update`, [id])
      const disconnecting = disconnect(broker, id)
      await waitForBlocked(pool)
      for (const table of others) await holder.query(`select from ${table} = $1 for no key update`, [id])
      await holder.query('commit')
      expect(await disconnecting).toMatchObject({ status: 200, body: done })
    } finally {
      holder.release(true)
    }
  },
)

test('[R4] PostgreSQL away: 503, nothing is done, and it may be repeated', { timeout }, async () => {
  await using cluster = await startTemporaryCluster()
  const url = cluster.url('postgres')
  await migrateDatabase(url)
  await using broker = await startTestBroker({ url }, { keys: makeKeys() })
  const { provider, id } = await openPlainConnection(broker)
  await cluster.stop('immediate')
  const refused = await disconnect(broker, id)
  expect(refused).toMatchObject({ status: 503, body: { code: 'unavailable' } })
  expect(refused.headers.get('retry-after')).not.toBeNull()
  expect(provider.requestsTo('revocation')).toEqual([])
  await cluster.start()
  expect((await readToken(broker, id)).status).toBe(200)
  expect(await disconnect(broker, id)).toMatchObject({ status: 200, body: done })
})

test('[R4] PostgreSQL stopped while the provider revokes: queued, and done when it returns', { timeout }, async () => {
  await using cluster = await startTemporaryCluster()
  const url = cluster.url('postgres')
  await migrateDatabase(url)
  await using broker = await startTestBroker({ url }, { keys: makeKeys() })
  const { provider, id } = await openPlainConnection(broker)
  const gate = answers.createGate('after')
  provider.next('revocation', gate.step)
  const disconnecting = disconnect(broker, id)
  await gate.arrived
  await cluster.stop('immediate')
  gate.open()
  expect(await disconnecting).toMatchObject({ status: 200, body: queued })
  await cluster.start()
  const pool = new pg.Pool({ connectionString: url })
  await makeDue(pool, id)
  // before its server goes
  await pool.end()
  await vi.waitFor(async () => expect((await disconnect(broker, id)).body).toEqual(done), { timeout: 20_000 })
  expect(revokedAt(provider).slice(-2)).toEqual(issuedTokens(provider).both)
})

test('[R4] a COMMIT whose acknowledgement is lost: it is found done, and revoked in the background', async ({
  database,
  broker,
}) => {
  const { provider, id } = await openPlainConnection(broker)
  await using proxy = await startTcpProxy({ port: Number(new URL(database.url).port) })
  await using cutOff = await startTestBroker({ url: proxy.url(database.url) })
  const cut = proxy.cutOnPattern('to-server', 'connection.disconnected')
  const disconnecting = disconnect(cutOff, id)
  await cut.happened
  expect(await disconnecting, 'the first try was lost before its commit').toMatchObject({ status: 200, body: done })

  const other = await openPlainConnection(broker)
  const unacknowledged = proxy.cutOnPattern('to-client', 'COMMIT\0')
  const [told] = await Promise.all([disconnect(cutOff, other.id), unacknowledged.happened])
  expect(told).toMatchObject({ status: 200, body: queued })
  await makeDue(database.pool, other.id)
  await waitUntilSettled(database.pool, other.id)
  for (const { id: one, provider: at } of [{ id, provider }, other]) {
    const recorded = (await auditOf(broker, one)).filter((line) => line === 'connection.disconnected success')
    expect(recorded, 'once').toHaveLength(1)
    expect(revokedAt(at)).toEqual(issuedTokens(at).both)
  }
})
