import { startTcpProxy, withDatabase } from '@nexus/testing'
import { expect, onTestFinished } from 'vitest'
import { startOwnCluster } from './cluster-scene.ts'
import { capture, goodKey, readSchema, requestStatic, startApi, storedKey, triedAt } from './capture-scene.ts'
import { waitForBlocked, whileLocked } from './database-tools.ts'
import { auditOf, connectionOf, test } from './handshake-scene.ts'
import { spawnTestBroker, startTestBroker } from './harness.ts'

// processes and clusters have to start, on machines that do other things too
const timeout = 60_000

/** As if the acceptance had been a while ago: then whoever made it has died. */
const passGrace = `update handshakes set accepted_at = accepted_at - interval '2 minutes' where connection_id = $1`

test(
  '[R2] a Broker killed between accepting and storing: nothing is stored, and after the grace the same form may be sent again',
  { timeout },
  async ({ broker, database }) => {
    await using dying = await spawnTestBroker(database)
    const { state, connection_id, providerId } = await requestStatic(broker)
    // what is accepted waits here to be stored
    const holdProfile = `select 1 from provider_profiles where id = '${providerId}' for update`
    const cut = await whileLocked(database.pool, holdProfile, async () => {
      const submitting = capture(dying, state).catch(() => 'cut')
      await waitForBlocked(database.pool)
      await dying.kill9()
      return submitting
    })
    expect(cut).toBe('cut')
    const { rows } = await database.pool.query(
      'select accepted_at is not null as accepted, outcome from handshakes where connection_id = $1',
      [connection_id],
    )
    expect(rows).toEqual([{ accepted: true, outcome: null }])
    expect(await connectionOf(broker, connection_id)).toMatchObject({ status: 'pending' })
    // within the grace the other one may still be alive
    expect(await capture(broker, state)).toMatchObject({ status: 409 })

    await database.pool.query(passGrace, [connection_id])
    expect((await readSchema(broker, state)).status).toBe(200)
    expect((await capture(broker, state)).status).toBe(200)
    expect(await storedKey(broker, connection_id)).toBe(goodKey)
  },
)

test('[H2] whoever comes while another one’s key is being stored changes nothing of it', async ({
  broker,
  database,
}) => {
  const { state, connection_id, providerId } = await requestStatic(broker)
  const holdProfile = `select 1 from provider_profiles where id = '${providerId}' for update`
  const [slow, again] = await whileLocked(database.pool, holdProfile, async () => {
    const first = capture(broker, state, { api_key: 'first-key-1234567' })
    await waitForBlocked(database.pool)
    // it holds its handshake's row while it stores: whoever comes now waits for it, and then finds it done
    const second = capture(broker, state)
    return [first, second]
  })
  expect([(await slow)?.status, (await again)?.status]).toEqual([200, 409])
  expect(await storedKey(broker, connection_id)).toBe('first-key-1234567')
})

test(
  '[R4] with PostgreSQL away nothing is used up: 503, and the same form works when it is back',
  { timeout },
  async () => {
    const { cluster, broker } = await startOwnCluster()
    const api = await startApi()
    const { state, connection_id } = await requestStatic(broker, triedAt(api))
    await cluster.stop('immediate')
    for (const answer of [await capture(broker, state), await readSchema(broker, state)]) {
      expect(answer).toMatchObject({ status: 503, body: { code: 'unavailable' } })
      expect(answer.headers.get('retry-after')).toMatch(/^\d+$/)
    }
    expect(api.requests).toEqual([])
    await cluster.start()
    expect((await capture(broker, state)).status).toBe(200)
    expect(await storedKey(broker, connection_id)).toBe(goodKey)
  },
)

test(
  '[R4] PostgreSQL stopped while the provider is asked, for longer than a person waits: 503, and the form may be sent again',
  { timeout },
  async () => {
    const { cluster, broker } = await startOwnCluster()
    const api = await startApi()
    const { state, connection_id } = await requestStatic(broker, triedAt(api))
    const letGo = api.hold()
    const submitting = capture(broker, state)
    await api.waitForRequests(1)
    await cluster.stop('immediate')
    letGo()
    await broker.logs.waitFor((line) => line['msg'] === 'an attempt waits to be accepted')
    expect(await submitting).toMatchObject({ status: 503, body: { code: 'unavailable' } })
    await cluster.start()
    expect((await capture(broker, state)).status).toBe(200)
    expect(await storedKey(broker, connection_id)).toBe(goodKey)
  },
)

/** A Broker whose connections to the shared PostgreSQL lead through a bad network. */
async function startBehindProxy(database: { readonly url: string; readonly name: string }) {
  const { hostname, port } = new URL(database.url)
  const proxy = await startTcpProxy({ host: hostname, port: Number(port) })
  onTestFinished(() => proxy[Symbol.asyncDispose]())
  const broker = await startTestBroker({ url: proxy.url(withDatabase(database.url, database.name)) })
  onTestFinished(() => broker[Symbol.asyncDispose]())
  return { proxy, broker }
}

test.for([
  ['the COMMIT', 'to-client', 'COMMIT\0'],
  ['the acceptance', 'to-client', 'isAccepted\0'],
  ['the acceptance, before it reached PostgreSQL,', 'to-server', 'set acceptance_id'],
] as const)(
  '[R4] %s whose acknowledgement is lost is read again, not repeated',
  async ([, direction, pattern], { database }) => {
    const { proxy, broker } = await startBehindProxy(database)
    const api = await startApi()
    const { state, connection_id } = await requestStatic(broker, triedAt(api))
    // the attempt has been made when the provider is asked
    const letGo = api.hold()
    const submitting = capture(broker, state)
    await api.waitForRequests(1)
    const cut = proxy.cutOnPattern(direction, pattern)
    letGo()
    await cut.happened
    expect((await submitting).status).toBe(200)
    expect(await auditOf(broker, connection_id)).toEqual([
      'connection.requested success',
      'credential_captured success',
    ])
    expect(await storedKey(broker, connection_id)).toBe(goodKey)
    const { rows } = await database.pool.query('select version from tokens where connection_id = $1', [connection_id])
    expect(rows).toEqual([{ version: 1 }])
  },
)

test('[R4] an attempt whose acknowledgement is lost leads to 503, and the same form may be sent again', async ({
  database,
}) => {
  const { proxy, broker } = await startBehindProxy(database)
  const { state, connection_id } = await requestStatic(broker)
  const cut = proxy.cutOnPattern('to-client', 'COMMIT\0')
  const answer = await capture(broker, state)
  await cut.happened
  expect(answer).toMatchObject({ status: 503, body: { code: 'unavailable' } })
  expect((await capture(broker, state)).status).toBe(200)
  expect(await storedKey(broker, connection_id)).toBe(goodKey)
})

test(
  '[R6] SIGTERM while a key is tried: it is followed through, and the exit is clean',
  { timeout },
  async ({ broker, database }) => {
    await using leaving = await spawnTestBroker(database)
    const api = await startApi()
    const { state, connection_id } = await requestStatic(broker, triedAt(api))
    const letGo = api.hold()
    const submitting = capture(leaving, state)
    await api.waitForRequests(1)
    const ending = leaving.stop('SIGTERM')
    await leaving.waitForOutput(/is draining/)
    letGo()
    expect((await submitting).status).toBe(200)
    expect(await ending).toEqual({ exitCode: 0, signal: null })
    expect(await storedKey(broker, connection_id)).toBe(goodKey)
  },
)
