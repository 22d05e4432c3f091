import { randomBytes } from 'node:crypto'
import { type RedisHandle, createLogger, createRedis } from '@nexus/service'
import { expect, onTestFinished } from 'vitest'
import { type TestRedis, createBrowser } from '@nexus/testing'
import { connect } from './connection-scene.ts'
import { earlyInTheMinute, eventually, setSecondsLeft } from './database-tools.ts'
import { type TestBroker, readToken, startTestBroker } from './harness.ts'
import { openProvider, test } from './handshake-scene.ts'

const limit = 4
const env = { AUTH_RATE_LIMIT_PER_MINUTE: String(limit), TRUSTED_PROXIES: '127.0.0.1/32' }

/** An address that nobody counted yet. */
function freshAddress(): string {
  return ['10', ...randomBytes(3)].join('.')
}

/** How a browser is answered that opens one link more than it may. */
async function openTooOften(broker: TestBroker, address = freshAddress()): Promise<readonly number[]> {
  const statuses: number[] = []
  for (let n = 0; n <= limit; n++) {
    const headers = { 'x-forwarded-for': address }
    statuses.push((await broker.get(`/auth/connect/${'x'.repeat(43)}`, { key: undefined, headers })).status)
  }
  return statuses
}

const decided = [...Array.from({ length: limit }, () => 404), 429]

/** Everything that a Broker decides, whatever has become of Redis. */
async function expectSameDecisions(broker: TestBroker, pool: Parameters<typeof setSecondsLeft>[0]): Promise<void> {
  await earlyInTheMinute()
  expect(await openTooOften(broker)).toEqual(decided)
  const provider = await openProvider(broker, { profile: { scopes: ['read'] } })
  const browser = createBrowser({ headers: { 'x-forwarded-for': freshAddress() } })
  const id = await connect(broker, provider, {}, browser)
  expect((await readToken(broker, id)).status).toBe(200)
  await setSecondsLeft(pool, id, -1)
  expect((await readToken(broker, id)).status).toBe(200)
  expect(provider.counts().refreshRequests).toBe(1)
  expect(await broker.get(`/connections/019ab000-0000-7000-8000-00000000dead/token`)).toMatchObject({ status: 404 })
}

async function readyChecks(broker: TestBroker): Promise<unknown> {
  const { status, body } = await broker.get<{ redis: string }>('/health/ready')
  return { status, redis: body.redis }
}

test('[R5] Redis that is there: limits count over both Brokers together', async ({ database, redis }) => {
  await using one = await startTestBroker(database, { env: { ...env, REDIS_URL: redis.url } })
  await using two = await startTestBroker(database, { env: { ...env, REDIS_URL: redis.url } })
  await eventually(
    'both are connected',
    async () => ((await isConnected(one)) && (await isConnected(two))) || undefined,
  )
  await earlyInTheMinute()
  const address = freshAddress()
  expect(await openTooOften(one, address)).toEqual(decided)
  expect(await openTooOften(two, address)).toEqual(Array.from({ length: limit + 1 }, () => 429))
})

async function isConnected(broker: TestBroker): Promise<boolean> {
  return (await broker.get<{ redis: string }>('/health/ready')).body.redis === 'ok'
}

test('[R5] Redis stopped, and back: the same decisions, and ready all the while', async ({ database, redis }) => {
  await using broker = await startTestBroker(database, { env: { ...env, REDIS_URL: redis.url } })
  await eventually('Redis is connected', async () => (await isConnected(broker)) || undefined)
  await redis.stop()
  await eventually('its absence is noticed', async () => !(await isConnected(broker)) || undefined)
  expect(await readyChecks(broker)).toEqual({ status: 200, redis: 'away' })
  await expectSameDecisions(broker, database.pool)
  await redis.start()
  await eventually('its return is noticed', async () => (await isConnected(broker)) || undefined, 20_000)
  await expectSameDecisions(broker, database.pool)
})

test('[R5] Redis that never was there at the start', async ({ database }) => {
  await using broker = await startTestBroker(database, { env: { ...env, REDIS_URL: 'redis://127.0.0.1:1/0' } })
  expect(await readyChecks(broker)).toEqual({ status: 200, redis: 'away' })
  await expectSameDecisions(broker, database.pool)
})

test('[R5] Redis paused: the same decisions, and no request waits for it long', async ({ database, redis }) => {
  await using broker = await startTestBroker(database, { env: { ...env, REDIS_URL: redis.url } })
  await eventually('Redis is connected', async () => (await isConnected(broker)) || undefined)
  redis.pause()
  onTestFinished(() => redis.resume())
  const started = performance.now()
  await earlyInTheMinute()
  const waited = performance.now() - started
  expect(await openTooOften(broker)).toEqual(decided)
  expect(performance.now() - started - waited, 'milliseconds for five links').toBeLessThan(3_000)
  await expectSameDecisions(broker, database.pool)
  redis.resume()
})

const poisons: readonly (readonly [
  name: string,
  poison: (client: RedisHandle['client'], key: string) => Promise<unknown>,
])[] = [
  ['a list where a number should be', (client, key) => client.multi().del(key).rpush(key, 'x').exec()],
  ['text', (client, key) => client.set(key, 'many')],
  ['a count beyond reason', (client, key) => client.set(key, '9007199254740990')],
  ['a count below zero', (client, key) => client.set(key, '-1000000')],
]

for (const [name, poison] of poisons) {
  test(`[R5] Redis poisoned with ${name}: nobody is let through who should not be, nor kept out for ever`, async ({
    database,
    redis,
  }) => {
    await using broker = await startTestBroker(database, { env: { ...env, REDIS_URL: redis.url } })
    await eventually('Redis is connected', async () => (await isConnected(broker)) || undefined)
    await earlyInTheMinute()
    await redis.flush()
    const address = freshAddress()
    const link = `/auth/connect/${'x'.repeat(43)}`
    const headers = { 'x-forwarded-for': address }
    expect((await broker.get(link, { key: undefined, headers })).status).toBe(404)
    await poisonCounter(redis, poison)
    expect((await openTooOften(broker, address)).slice(0, limit)).toEqual([
      ...Array.from({ length: limit - 1 }, () => 404),
      429,
    ])
    await expectSameDecisions(broker, database.pool)
  })
}

type Poison = (typeof poisons)[number][1]

/** Changes the one counter there is. */
async function poisonCounter(redis: TestRedis, poison: Poison): Promise<void> {
  const handle = createRedis(redis.url, createLogger({ level: 'silent', service: 'test' }))
  if (handle === undefined) throw new Error(`${redis.url} is no Redis`)
  try {
    await eventually('the test is connected', async () => (await handle.ping()) || undefined)
    const keys = await handle.client.keys('nexus:*')
    expect(keys, 'one counter').toHaveLength(1)
    await poison(handle.client, keys[0] ?? '')
  } finally {
    await handle.close()
  }
}
