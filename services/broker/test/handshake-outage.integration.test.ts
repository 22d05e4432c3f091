import { answers, startTcpProxy, withDatabase } from '@nexus/testing'
import { expect, onTestFinished } from 'vitest'
import { startOwnCluster } from './cluster-scene.ts'
import { arrive, auditOf, connectionOf, openProvider, returned, send, test, travel } from './handshake-scene.ts'
import { readToken, requestConnection, startTestBroker } from './harness.ts'

const timeout = 60_000

test(
  '[R4] PostgreSQL stopped between the provider’s answer and the commit: the grant is stored when it returns',
  {
    timeout,
  },
  async () => {
    const { cluster, broker } = await startOwnCluster()
    const provider = await openProvider(broker)
    const journey = await travel(broker, provider)
    const gate = answers.createGate('after')
    provider.next('token', gate.step)
    const arrival = arrive(journey)
    await gate.arrived
    await cluster.stop('immediate')
    gate.open()
    await broker.logs.waitFor((line) => line['msg'] === 'a grant waits to be stored')
    await cluster.start()

    expect(returned(await arrival)).toMatchObject({ status: 'success' })
    expect(await connectionOf(broker, journey.connection_id)).toMatchObject({ status: 'active' })
    expect((await readToken(broker, journey.connection_id)).status).toBe(200)
    expect(provider.requestsTo('token')).toHaveLength(1)
    expect(provider.violations).toEqual([])
  },
)

test(
  '[R4] PostgreSQL away: pages of 503 with Retry-After, and afterwards the same link and callback work',
  {
    timeout,
  },
  async () => {
    const { cluster, broker } = await startOwnCluster()
    const provider = await openProvider(broker)
    const journey = await travel(broker, provider)
    const { authUrl } = await requestConnection(broker, { provider_name: provider.name })
    await cluster.stop('immediate')
    for (const answer of [await arrive(journey), await send(journey.callback), await send(authUrl)]) {
      expect(answer).toMatchObject({ status: 503, location: undefined })
      expect(answer.headers.get('retry-after')).toMatch(/^\d+$/)
      expect(answer.headers.get('content-type')).toContain('text/html')
      expect(answer.headers.has('set-cookie')).toBe(false)
    }
    const begun = await broker.post('/auth/consent-spec', { workspace_id: 'u', provider_name: provider.name })
    expect(begun).toMatchObject({ status: 503, body: { code: 'unavailable' } })
    expect(provider.requestsTo('token')).toEqual([])

    await cluster.start()
    expect(returned(await arrive(journey))).toMatchObject({ status: 'success' })
    expect(await send(authUrl)).toMatchObject({ status: 303 })
  },
)

test('[R4] a failure of the exchange is recorded when PostgreSQL returns', { timeout }, async () => {
  const { cluster, broker } = await startOwnCluster()
  const provider = await openProvider(broker)
  const journey = await travel(broker, provider)
  const gate = answers.createGate('after', answers.oauthError('invalid_grant'))
  provider.next('token', gate.step)
  const arrival = arrive(journey)
  await gate.arrived
  await cluster.stop('immediate')
  gate.open()
  await broker.logs.waitFor((line) => line['msg'] === 'an outcome waits to be stored')
  await cluster.start()
  expect(returned(await arrival)).toMatchObject({ error: 'provider_rejected' })
  expect(await connectionOf(broker, journey.connection_id)).toMatchObject({ status: 'failed' })
})

/** A Broker whose connections to the shared PostgreSQL lead through a bad network. */
async function startBehindProxy(database: { readonly url: string; readonly name: string }) {
  const { hostname, port } = new URL(database.url)
  const proxy = await startTcpProxy({ host: hostname, port: Number(port) })
  onTestFinished(() => proxy[Symbol.asyncDispose]())
  const broker = await startTestBroker({ url: proxy.url(withDatabase(database.url, database.name)) })
  onTestFinished(() => broker[Symbol.asyncDispose]())
  return { proxy, broker }
}

test('[R4] a COMMIT whose acknowledgement is lost is read again, not repeated', async ({ database }) => {
  const { proxy, broker } = await startBehindProxy(database)
  const provider = await openProvider(broker)
  const journey = await travel(broker, provider)
  const gate = answers.createGate('after')
  provider.next('token', gate.step)
  const arrival = arrive(journey)
  await gate.arrived
  const cut = proxy.cutOnPattern('to-client', 'COMMIT\0')
  gate.open()
  await cut.happened
  expect(returned(await arrival)).toMatchObject({ status: 'success' })

  expect(provider.requestsTo('token')).toHaveLength(1)
  expect(await auditOf(broker, journey.connection_id)).toEqual([
    'connection.requested success',
    'oauth_flow_completed success',
  ])
  expect((await readToken(broker, journey.connection_id)).status).toBe(200)
})

test('[R4] an acceptance whose acknowledgement is lost is read again, and the code is sent once', async ({
  database,
}) => {
  const { proxy, broker } = await startBehindProxy(database)
  const provider = await openProvider(broker)
  const journey = await travel(broker, provider)
  // the column that says so: PostgreSQL answers with it when the statement is committed
  const cut = proxy.cutOnPattern('to-client', 'isAccepted\0')
  const arrivals = [arrive(journey), arrive(journey), arrive(journey)]
  await cut.happened
  for (const arrival of arrivals) expect(returned(await arrival)).toMatchObject({ status: 'success' })
  expect(provider.requestsTo('token')).toHaveLength(1)
  expect(provider.violations).toEqual([])
  const { rows } = await database.pool.query('select version from tokens where connection_id = $1', [
    journey.connection_id,
  ])
  expect(rows).toEqual([{ version: 1 }])
})

test('[R4] an acceptance that never reached PostgreSQL is sent again', async ({ database }) => {
  const { proxy, broker } = await startBehindProxy(database)
  const provider = await openProvider(broker)
  const journey = await travel(broker, provider)
  const cut = proxy.cutOnPattern('to-server', 'set acceptance_id')
  const arrival = arrive(journey)
  await cut.happened
  expect(returned(await arrival)).toMatchObject({ status: 'success' })
  expect(provider.requestsTo('token')).toHaveLength(1)
})

test('[V1] an attempt whose secrets were tampered with is not accepted: the code stays unspent', async ({
  broker,
  database,
}) => {
  const provider = await openProvider(broker)
  const [journey, other] = [await travel(broker, provider), await travel(broker, provider)]
  const handshakeOf = '(select id from handshakes where connection_id = $1)'
  await database.pool.query(
    `update handshake_attempts set secrets = (select secrets from handshake_attempts where handshake_id = ${handshakeOf.replace('$1', '$2')})
      where handshake_id = ${handshakeOf}`,
    [journey.connection_id, other.connection_id],
  )
  expect(await arrive(journey)).toMatchObject({ status: 500, location: undefined })
  expect(provider.requestsTo('token')).toEqual([])
  expect(await connectionOf(broker, journey.connection_id)).toMatchObject({ status: 'pending' })
  expect(returned(await arrive(other))).toMatchObject({ status: 'success' })
  // the person opens the link again
  expect(await send(journey.authUrl)).toMatchObject({ status: 303 })
})
