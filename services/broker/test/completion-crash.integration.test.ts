import { answers, startTcpProxy, withDatabase } from '@nexus/testing'
import { expect, onTestFinished } from 'vitest'
import { startOwnCluster } from './cluster-scene.ts'
import { passAcceptanceGrace } from './database-tools.ts'
import { type Held, comeBack, complete, countSecrets, travelHeld } from './completion-scene.ts'
import {
  arrive,
  atServer,
  auditOf,
  connectionOf,
  consent,
  holdHandshake,
  openLink,
  openProvider,
  returned,
  send,
  test,
  travel,
} from './handshake-scene.ts'
import { readToken, spawnTestBroker, startTestBroker, mintToken } from './harness.ts'

// a process has to start, on machines that do other things too
const timeout = 60_000

const already = { status: 409, body: { code: 'already_completed', details: { status: 'active' } } }

test.for([
  ['before the provider saw the code', 'before'],
  ['when the provider had granted', 'after'],
] as const)(
  '[R2] a Broker killed during a completion, %s: the link works again after the grace',
  { timeout },
  async ([, position], { broker, database }) => {
    await using dying = await spawnTestBroker(database, { env: { BASE_URL: broker.url } })
    const provider = await openProvider(broker)
    const held = await travelHeld(broker, provider)
    const gate = answers.createGate(position)
    provider.next('token', gate.step)
    const cut = complete(dying, held).catch(() => 'cut')
    await gate.arrived
    await dying.kill9()
    expect(await cut).toBe('cut')
    gate.open()

    expect(await connectionOf(broker, held.connection_id)).toMatchObject({ status: 'pending' })
    expect(await countSecrets(database.pool, held.connection_id), 'a spent code is not kept').toBe(0)
    // within the grace the other one may still be alive
    expect(await send(held.authUrl)).toMatchObject({ status: 410, location: undefined })

    await passAcceptanceGrace(database.pool, held.connection_id)
    expect(await complete(broker, held)).toMatchObject({ status: 410, body: { code: 'link_expired' } })
    expect(provider.requestsTo('token')).toHaveLength(1)

    const departure = await openLink(held.authUrl)
    const again = await comeBack({ ...held, ...departure, callback: await consent(departure) })
    expect(again.completionCode).not.toBe(held.completionCode)
    // the first code is no key to what is held now, and does not harm it
    expect(await complete(broker, held)).toMatchObject({ status: 410 })
    expect(await complete(broker, again)).toMatchObject({ status: 200 })
    expect((await readToken(broker, held.connection_id)).status).toBe(200)
    expect(provider.requestsTo('token')).toHaveLength(2)
    expect(provider.violations).toEqual([])
  },
)

test(
  '[R2] a Broker killed while it accepts a callback leaves a callback that works, not half a hold',
  { timeout },
  async ({ broker, database }) => {
    await using dying = await spawnTestBroker(database, { env: { BASE_URL: broker.url } })
    const provider = await openProvider(broker)
    const journey = await travel(broker, provider, { completion: 'app' })
    const lock = await holdHandshake(database, journey.connection_id)
    const cut = send(atServer(journey.callback, dying.url), { cookie: journey.cookie }).catch(() => 'cut')
    await lock.waitForOthers(1)
    await dying.kill9()
    expect(await cut).toBe('cut')
    await lock.release()
    const held = await comeBack(journey)
    expect(await complete(broker, held)).toMatchObject({ status: 200 })
    expect(provider.requestsTo('token')).toHaveLength(1)
  },
)

test(
  '[R2] a Broker killed after it held the code: the reload is sent back to the app, and another completes',
  async ({ broker, database }) => {
    const provider = await openProvider(broker)
    let held: Held
    {
      await using dying = await spawnTestBroker(database, { env: { BASE_URL: broker.url } })
      const journey = await travel(broker, provider, { completion: 'app' })
      const arrival = await send(atServer(journey.callback, dying.url), { cookie: journey.cookie })
      await dying.kill9()
      held = { ...journey, completionCode: returned(arrival)['completion_code'] ?? '' }
    }
    expect(returned(await arrive(held))['completion_code']).toBe(held.completionCode)
    expect(await complete(broker, held)).toMatchObject({ status: 200 })
  },
  timeout,
)

test(
  '[H2] of twenty completions at once over two Brokers one exchanges, and the others hear that it is done',
  { timeout },
  async ({ broker, database }) => {
    await using second = await startTestBroker(database, { env: { BASE_URL: broker.url } })
    const provider = await openProvider(broker)
    const held = await travelHeld(broker, provider)
    const lock = await holdHandshake(database, held.connection_id)
    const asked = Array.from({ length: 20 }, (_, n) => complete(n % 2 === 0 ? broker : second, held))
    await lock.waitForOthers(4)
    await lock.release()
    const given = await Promise.all(asked)
    expect(given.filter(({ status }) => status === 200)).toHaveLength(1)
    for (const answer of given.filter(({ status }) => status !== 200)) expect(answer).toMatchObject(already)
    expect(provider.requestsTo('token')).toHaveLength(1)
    expect(provider.violations).toEqual([])
    const completed = (await auditOf(broker, held.connection_id)).filter(
      (line) => line === 'connection.completed success',
    )
    expect(completed).toHaveLength(1)
  },
)

test('[H2] the right user and a wrong one at once: either all is destroyed unused, or the right one is connected', async ({
  broker,
  database,
}) => {
  for (const _ of [1, 2, 3]) {
    const provider = await openProvider(broker)
    const held = await travelHeld(broker, provider)
    const lock = await holdHandshake(database, held.connection_id)
    const asked = [complete(broker, held, 'victim'), complete(broker, held)]
    await lock.waitForOthers(2)
    await lock.release()
    const [wrong, right] = await Promise.all(asked)
    expect(wrong).toMatchObject({ status: 409, body: { code: 'completion_refused' } })
    const { status } = await connectionOf(broker, held.connection_id)
    expect([right?.status, status, provider.requestsTo('token').length]).toEqual(
      right?.status === 200 ? [200, 'active', 1] : [409, 'failed', 0],
    )
  }
})

test(
  '[R6] SIGTERM during a completion: it is followed through, and the exit is clean',
  { timeout },
  async ({ database, broker }) => {
    await using leaving = await spawnTestBroker(database, { env: { BASE_URL: broker.url } })
    const provider = await openProvider(broker)
    const held = await travelHeld(broker, provider)
    const gate = answers.createGate()
    provider.next('token', gate.step)
    const completing = complete(leaving, held)
    await gate.arrived
    const ending = leaving.stop('SIGTERM')
    await leaving.waitForOutput(/is draining/)
    gate.open()
    expect(await completing).toMatchObject({ status: 200 })
    expect(await ending).toEqual({ exitCode: 0, signal: null })
    expect((await readToken(broker, held.connection_id)).status).toBe(200)
  },
)

test('[R2] an app’s server that hangs up loses nothing: asked again, it hears what came of it', async ({ broker }) => {
  const provider = await openProvider(broker)
  const held = await travelHeld(broker, provider)
  const gate = answers.createGate()
  provider.next('token', gate.step)
  const token = await mintToken(broker, { zones: [{ zone: 'root', permissions: 'c' }] })
  const leaving = new AbortController()
  const gone = fetch(`${broker.url}/connections/${held.connection_id}/complete`, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      'x-api-key': broker.keys.API_KEY,
      authorization: `Bearer ${token}`,
    },
    body: JSON.stringify({ completion_code: held.completionCode, workspace_id: 'user-1' }),
    signal: leaving.signal,
  })
  await gate.arrived
  leaving.abort()
  await expect(gone).rejects.toThrow(/abort/i)
  const again = complete(broker, held)
  gate.open()
  expect(await again).toMatchObject(already)
  expect(provider.requestsTo('token')).toHaveLength(1)
})

test(
  '[R4] PostgreSQL away: 503, nothing is used up, and the same completion works when it returns',
  { timeout },
  async () => {
    const { cluster, broker } = await startOwnCluster()
    const provider = await openProvider(broker)
    const held = await travelHeld(broker, provider)
    // the app has its token, and the Broker knows it
    await complete(broker, { ...held, connection_id: '019ab000-0000-7000-8000-00000000dead' })
    await cluster.stop('immediate')
    const answer = await complete(broker, held)
    expect(answer).toMatchObject({ status: 503, body: { code: 'unavailable' } })
    expect(answer.headers.get('retry-after')).toMatch(/^\d+$/)
    expect(provider.requestsTo('token')).toEqual([])
    await cluster.start()
    expect(await complete(broker, held)).toMatchObject({ status: 200 })
    expect(provider.requestsTo('token')).toHaveLength(1)
  },
)

test(
  '[R4] PostgreSQL stopped between the provider’s answer and the commit: the grant is stored when it returns',
  { timeout },
  async () => {
    const { cluster, broker } = await startOwnCluster()
    const provider = await openProvider(broker)
    const held = await travelHeld(broker, provider)
    const gate = answers.createGate('after')
    provider.next('token', gate.step)
    const completing = complete(broker, held)
    await gate.arrived
    await cluster.stop('immediate')
    gate.open()
    await broker.logs.waitFor((line) => line['msg'] === 'a grant waits to be stored')
    await cluster.start()
    expect(await completing).toMatchObject({ status: 200 })
    expect((await readToken(broker, held.connection_id)).status).toBe(200)
    expect(provider.requestsTo('token')).toHaveLength(1)
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

test('[R4] a hold whose COMMIT is lost on the way back is found again: one code, one record', async ({ database }) => {
  const { proxy, broker } = await startBehindProxy(database)
  const provider = await openProvider(broker)
  const journey = await travel(broker, provider, { completion: 'app' })
  const cut = proxy.cutOnPattern('to-client', 'COMMIT\0')
  const arriving = comeBack(journey)
  await cut.happened
  const held = await arriving
  expect(await auditOf(broker, held.connection_id)).toEqual(['connection.requested success', 'connection.held success'])
  expect(await complete(broker, held)).toMatchObject({ status: 200 })
})

test.for([
  ['to-client', 'isTaken\0', 'whose acknowledgement is lost is read again'],
  ['to-server', 'set acceptance_id', 'that never reached PostgreSQL is sent again'],
] as const)('[R4] a taking %s %s (%s), and the code is sent once', async ([direction, pattern], { database }) => {
  const { proxy, broker } = await startBehindProxy(database)
  const provider = await openProvider(broker)
  const held = await travelHeld(broker, provider)
  const cut = proxy.cutOnPattern(direction, pattern)
  const completing = complete(broker, held)
  await cut.happened
  expect(await completing).toMatchObject({ status: 200 })
  expect(provider.requestsTo('token')).toHaveLength(1)
  expect(provider.violations).toEqual([])
})

test('[R4] a grant whose COMMIT is lost on the way back is read again, not stored twice', async ({ database }) => {
  const { proxy, broker } = await startBehindProxy(database)
  const provider = await openProvider(broker)
  const held = await travelHeld(broker, provider)
  const gate = answers.createGate('after')
  provider.next('token', gate.step)
  const completing = complete(broker, held)
  await gate.arrived
  const cut = proxy.cutOnPattern('to-client', 'COMMIT\0')
  gate.open()
  await cut.happened
  expect(await completing).toMatchObject({ status: 200 })
  expect(await auditOf(broker, held.connection_id)).toEqual([
    'connection.requested success',
    'connection.held success',
    'oauth_flow_completed success',
    'connection.completed success',
  ])
})

test('a provider whose metadata cannot be had leaves what is held, and the app asks again', async ({
  broker,
  database,
}) => {
  const provider = await openProvider(broker)
  const held = await travelHeld(broker, provider)
  // a Broker that has not read the metadata yet
  await using fresh = await startTestBroker(database, { env: { BASE_URL: broker.url } })
  provider.always('discovery', answers.serverError())
  expect(await complete(fresh, held)).toMatchObject({ status: 502, body: { code: 'provider_unavailable' } })
  expect(await countSecrets(database.pool, held.connection_id)).toBe(1)
  provider.always('discovery', undefined)
  expect(await complete(fresh, held)).toMatchObject({ status: 200 })
})
