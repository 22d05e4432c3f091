import { randomUUID } from 'node:crypto'
import { createLogger, createRedis, type RedisHandle } from '@nexus/service'
import { captureLogs, createManualClock, startRedis } from '@nexus/testing'
import { expect, test } from 'vitest'
import { bearing, describeIdentity, judgeTokens, makeAgentToken } from './agents.ts'
import { send, startGateway, type Gateway } from './harness.ts'
import { startScriptedBroker } from './scripted-broker.ts'

const env = {
  REQUIRE_BEARER: 'true',
  TRUSTED_PROXIES: '127.0.0.1',
  NEXUS_RATE_LIMIT_ANONYMOUS: '3',
  NEXUS_RATE_LIMIT_AUTHENTICATED: '4',
  NEXUS_RATE_LIMIT_PREMIUM: '6',
}
const here = '203.0.113.9'
const elsewhere = '203.0.113.10'

type Headers = Readonly<Record<string, string>>

async function ask(gateway: Gateway, headers: Headers, from = here): Promise<number> {
  const answer = await send(gateway, { target: '/v1/providers', headers: { ...headers, 'x-forwarded-for': from } })
  return answer.status
}

async function askTimes(gateway: Gateway, times: number, headers: () => Headers, from = here) {
  const statuses: number[] = []
  for (let time = 0; time < times; time++) statuses.push(await ask(gateway, headers(), from))
  return statuses
}

const unknownToken = () => bearing(makeAgentToken())

/** A Broker that takes the tokens given out here, and a Gateway before it whose clock stands still. */
async function startScene(more: Headers = {}) {
  await using resources = new AsyncDisposableStack()
  const taken = new Map<string, string>()
  const broker = resources.use(await startScriptedBroker())
  judgeTokens(broker, 'GET /providers', [], taken)
  const clock = createManualClock()
  const gateway = resources.use(await startGateway(broker, { env: { ...env, ...more }, now: clock.now }))
  const owned = resources.move()
  return {
    broker,
    gateway,
    clock,
    taken,
    mint(tier: 'authenticated' | 'admin' = 'authenticated'): string {
      const token = makeAgentToken()
      taken.set(token, describeIdentity({ keyId: randomUUID(), tier }))
      return token
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  }
}

test('[C6] an agent has its own limit a minute wherever it calls from, told in header and body', async () => {
  await using scene = await startScene()
  const { gateway, broker, clock } = scene
  const [token, other] = [scene.mint(), scene.mint()]

  expect(await askTimes(gateway, 4, () => bearing(token))).toEqual([200, 200, 200, 200])
  const refused = await send(gateway, {
    target: '/v1/providers',
    headers: { ...bearing(token), 'x-forwarded-for': elsewhere },
  })
  expect(refused).toMatchObject({ status: 429, headers: { 'retry-after': '60' } })
  expect(refused.json()).toMatchObject({ code: 'rate_limited', details: { retry_after: 60 } })
  expect(await ask(gateway, bearing(other)), 'another token').toBe(200)
  expect(broker.requests).toHaveLength(5)

  clock.advance(60_000)
  expect(await ask(gateway, bearing(token))).toBe(200)
})

test('an administrator has the limit of administrators', async () => {
  await using scene = await startScene()
  const token = scene.mint('admin')

  expect(await askTimes(scene.gateway, 7, () => bearing(token))).toEqual([200, 200, 200, 200, 200, 200, 429])
})

test.each([
  ['what comes without a token', (): Headers => ({}), 401],
  ['what cannot be one', (): Headers => bearing('sk-x'), 401],
  ['a token that the Broker does not know', unknownToken, 401],
])('[C6] %s counts against the address, whatever comes next from there', async (_what, headers, status) => {
  await using scene = await startScene()
  const { gateway, broker, clock } = scene
  const fresh = scene.mint()
  const known = scene.mint()
  expect(await ask(gateway, bearing(known))).toBe(200)

  expect(await askTimes(gateway, 3, headers)).toEqual([status, status, status])
  const asked = broker.requests.length
  expect(await askTimes(gateway, 1, headers)).toEqual([429])
  expect(await askTimes(gateway, 1, () => ({}))).toEqual([429])
  expect(await ask(gateway, bearing(fresh)), 'a token that is not known yet').toBe(429)
  expect(broker.requests, 'the Broker is not asked').toHaveLength(asked)

  expect(await ask(gateway, bearing(known)), 'one that is').toBe(200)
  expect(await ask(gateway, bearing(fresh), elsewhere)).toBe(200)
  clock.advance(60_000)
  expect(await askTimes(gateway, 1, headers)).toEqual([status])
})

test('good tokens cost their address nothing, however many', async () => {
  await using scene = await startScene()

  expect(new Set(await askTimes(scene.gateway, 20, () => bearing(scene.mint())))).toEqual(new Set([200]))
  expect(await askTimes(scene.gateway, 3, () => ({})), 'its own limit is untouched').toEqual([401, 401, 401])
})

test('a token that was revoked is forgotten with the Broker’s first no, and counts like any unknown one', async () => {
  // no limit of its own, so that it is the address that is over
  await using scene = await startScene({ NEXUS_RATE_LIMIT_AUTHENTICATED: '0' })
  const { gateway, broker, taken } = scene
  const token = scene.mint()
  expect(await ask(gateway, bearing(token))).toBe(200)

  taken.delete(token)
  expect(await askTimes(gateway, 4, () => bearing(token))).toEqual([401, 401, 401, 429])
  expect(broker.requests).toHaveLength(4)
})

test('a Broker that refuses the Gateway itself says nothing of the token', async () => {
  await using scene = await startScene()
  scene.broker.answer('GET /providers', { status: 401, body: { code: 'invalid_api_key', message: 'no' } })

  expect(new Set(await askTimes(scene.gateway, 5, unknownToken))).toEqual(new Set([502]))
})

test('where agents may be anonymous they are counted by address', async () => {
  await using broker = await startScriptedBroker()
  broker.answer('GET /providers', { body: [] })
  const open = { REQUIRE_BEARER: 'false', NEXUS_RATE_LIMIT_ANONYMOUS: '2' }
  await using gateway = await startGateway(broker, { env: open, now: createManualClock().now })
  const statuses: number[] = []
  for (let time = 0; time < 3; time++) statuses.push((await send(gateway, { target: '/v1/providers' })).status)

  expect(statuses).toEqual([200, 200, 429])
})

test('[C3] whoever is not a trusted proxy cannot choose the address that is counted', async () => {
  await using scene = await startScene({ TRUSTED_PROXIES: '' })
  const statuses: number[] = []
  for (let host = 1; host < 5; host++) statuses.push(await ask(scene.gateway, unknownToken(), `203.0.113.${host}`))

  expect(statuses).toEqual([401, 401, 401, 429])
})

test('[C6] a malformed request with a made-up token counts by its address, and one with a good token by that', async () => {
  await using scene = await startScene()
  const { gateway, broker } = scene
  const askBadly = async (token: string) =>
    (await send(gateway, { target: '/v1/token/not-an-id', headers: { ...bearing(token), 'x-forwarded-for': here } }))
      .status
  const token = scene.mint()
  expect(await ask(gateway, bearing(token), elsewhere)).toBe(200)
  expect(broker.requests).toHaveLength(1)
  for (const status of [400, 400, 400, 429]) expect(await askBadly(token)).toBe(status)
  for (const status of [400, 400, 400, 429]) expect(await askBadly(makeAgentToken())).toBe(status)
  expect(broker.requests, 'nobody was asked').toHaveLength(1)
})

test('0 switches a limit off, each for itself', async () => {
  await using scene = await startScene({ NEXUS_RATE_LIMIT_AUTHENTICATED: '0' })
  const token = scene.mint()

  expect(new Set(await askTimes(scene.gateway, 20, () => bearing(token)))).toEqual(new Set([200]))
  expect(await askTimes(scene.gateway, 4, () => ({}))).toEqual([401, 401, 401, 429])

  await using open = await startScene({ NEXUS_RATE_LIMIT_ANONYMOUS: '0' })
  expect(new Set(await askTimes(open.gateway, 10, unknownToken))).toEqual(new Set([401]))
})

function connect(url: string): RedisHandle {
  const redis = createRedis(url, createLogger({ level: 'warn', service: 'gateway', destination: captureLogs() }))
  if (redis === undefined) throw new Error('there is a URL')
  return redis
}

test('[R5] two Gateways with one Redis count as one; with Redis silent or stopped each counts alone, and nothing fails', async () => {
  await using redisServer = await startRedis()
  await using scene = await startScene()
  const { broker, clock } = scene
  const handles = [connect(redisServer.url), connect(redisServer.url)] as const
  for (const handle of handles) await expect.poll(() => handle.ping(), { timeout: 10_000 }).toBe(true)
  await using one = await startGateway(broker, { env, now: clock.now, redis: handles[0] })
  await using two = await startGateway(broker, { env, now: clock.now, redis: handles[1] })
  const token = scene.mint()
  const known = () => bearing(token)

  expect(await askTimes(one, 3, known)).toEqual([200, 200, 200])
  expect(await askTimes(two, 3, known), 'the first counts too, though it was not known here').toEqual([200, 429, 429])
  expect(await ask(one, known())).toBe(429)
  expect(await askTimes(one, 2, unknownToken)).toEqual([401, 401])
  // what is counted after the answer may still be on its way to Redis
  await expect.poll(() => redisServer.dump()).toMatch(/nexus:gateway:anonymous:\S+ \(string, ttl \d+\): 2$/m)
  expect(await askTimes(two, 2, unknownToken)).toEqual([401, 429])

  for (const impair of [async () => redisServer.pause(), redisServer.stop]) {
    clock.advance(60_000)
    await impair()
    expect(await askTimes(one, 5, known)).toEqual([200, 200, 200, 200, 429])
    expect(await askTimes(two, 5, known)).toEqual([200, 200, 200, 200, 429])
    expect(await askTimes(one, 4, unknownToken)).toEqual([401, 401, 401, 429])
    redisServer.resume()
  }
  for (const handle of handles) await handle.close()
})
