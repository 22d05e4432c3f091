import { createLogger, createRateLimiter, createRedis, type RateLimiterOptions } from '@nexus/service'
import { captureLogs, startRedis, type CapturedLogs } from '@nexus/testing'
import type { Redis } from 'ioredis'
import { expect, test } from 'vitest'

const fixedNow = 1_800_000_010_000
const windowNumber = Math.floor(fixedNow / 60_000)

/** A real Redis and a handle on it, ready. */
async function connect(options: { readonly commandTimeout?: number } = {}) {
  await using stack = new AsyncDisposableStack()
  const server = stack.use(await startRedis())
  const logs = captureLogs()
  const redis = createRedis(server.url, createLogger({ level: 'info', service: 'test', destination: logs }), options)
  if (redis === undefined) throw new Error('a Redis URL gave no Redis')
  stack.defer(redis.close)
  await waitForPing(redis.ping, true)
  const resources = stack.move()
  return { server, redis, logs, [Symbol.asyncDispose]: () => resources.disposeAsync() }
}

async function waitForPing(ping: () => Promise<boolean>, wanted: boolean): Promise<void> {
  const deadline = AbortSignal.timeout(20_000)
  while ((await ping()) !== wanted) {
    deadline.throwIfAborted()
    await new Promise((resolve) => setImmediate(resolve))
  }
}

const limiter = (redis: RateLimiterOptions['redis'], perMinute: number, now = (): number => fixedNow) =>
  createRateLimiter({ redis, perMinute, prefix: 'nx:test', now })

async function countAllowed(check: (key: string) => Promise<{ allowed: boolean }>, times: number): Promise<number> {
  const outcomes = []
  for (let index = 0; index < times; index++) outcomes.push(await check('192.0.2.1'))
  return outcomes.filter((outcome) => outcome.allowed).length
}

const outages = (logs: CapturedLogs) => logs.lines().filter((line) => String(line['msg']).startsWith('Redis is away'))

test('memory:// is no Redis', () => {
  expect(createRedis('memory://', createLogger({ level: 'silent', service: 'test' }))).toBeUndefined()
})

test('processes that share a Redis share a limit', async () => {
  await using peer = await connect()
  const { redis } = peer
  const [first, second] = [limiter(redis.client, 5), limiter(redis.client, 5)]
  expect((await countAllowed(first.check, 3)) + (await countAllowed(second.check, 10))).toBe(5)
  expect(await first.check('192.0.2.1')).toEqual({ allowed: false, retryAfterSeconds: expect.any(Number) })
  expect(await first.check('192.0.2.2')).toEqual({ allowed: true })
})

test('a look sees what other processes counted, and adds nothing to it', async () => {
  await using peer = await connect()
  const { redis } = peer
  const [first, second] = [limiter(redis.client, 3), limiter(redis.client, 3)]
  for (let look = 0; look < 5; look++) expect(await second.peek('192.0.2.1')).toEqual({ allowed: true })
  expect(await countAllowed(first.check, 3)).toBe(3)
  expect(await second.peek('192.0.2.1')).toMatchObject({ allowed: false })
  expect(await second.peek('192.0.2.2')).toEqual({ allowed: true })
})

test('[L2] what is kept in Redis names nobody, and is gone after two minutes at most', async () => {
  await using peer = await connect()
  const { server, redis } = peer
  await limiter(redis.client, 5).check('192.0.2.1')
  expect(await server.dump()).not.toContain('192.0.2.1')
  const [key = ''] = await redis.client.keys('*')
  expect(key).toMatch(new RegExp(`^nx:test:${windowNumber}:[\\w-]{22}$`))
  const left = await redis.client.pttl(key)
  expect(left).toBeGreaterThan(0)
  expect(left).toBeLessThanOrEqual(120_000)
})

test('[R5] Redis stopped: the process counts alone, at once, and shares again when it is back', async () => {
  await using peer = await connect()
  const { server, redis, logs } = peer
  let time = fixedNow
  const { check } = limiter(redis.client, 5, () => time)
  await server.stop()
  const started = performance.now()
  expect(await countAllowed(check, 50)).toBe(5)
  expect(performance.now() - started).toBeLessThan(2_000)
  expect(await redis.ping()).toBe(false)

  await server.start()
  await logs.waitFor((line) => line['msg'] === 'Redis is back', 20_000)
  time += 60_000
  expect(await countAllowed(check, 50)).toBe(5)
  expect(await server.dump()).toContain('nx:test')
})

test('[R5] an outage is logged once, and without the URL', async () => {
  await using peer = await connect()
  const { server, redis, logs } = peer
  await server.stop()
  await logs.waitFor((line) => String(line['msg']).startsWith('Redis is away'))
  for (let index = 0; index < 20; index++) await redis.ping()
  await server.start()
  await logs.waitFor((line) => line['msg'] === 'Redis is back', 20_000)
  expect(outages(logs)).toHaveLength(1)
  expect(logs.text()).not.toContain('redis://')
  await redis.close()
  expect(outages(logs)).toHaveLength(1)
})

test('[R5] Redis paused: one request waits for the command timeout, the others not at all', async () => {
  await using peer = await connect({ commandTimeout: 100 })
  const { server, redis } = peer
  const { check } = limiter(redis.client, 1000)
  await check('192.0.2.1')
  server.pause()
  const started = performance.now()
  expect(await countAllowed(check, 200)).toBe(200)
  expect(performance.now() - started).toBeLessThan(1_500)
  server.resume()
})

test('[R5] Redis emptied: the limit of each process still holds', async () => {
  await using peer = await connect()
  const { server, redis } = peer
  const { check } = limiter(redis.client, 5)
  const before = await countAllowed(check, 3)
  await server.flush()
  expect(before + (await countAllowed(check, 20))).toBe(5)
})

test.each([
  ['another type', (redis: Redis, key: string) => redis.del(key).then(() => redis.lpush(key, 'x'))],
  ['a word', (redis: Redis, key: string) => redis.set(key, 'many')],
  ['a negative number', (redis: Redis, key: string) => redis.set(key, '-1000000')],
  ['an absurd number', (redis: Redis, key: string) => redis.set(key, '501')],
  ['a number beyond counting', (redis: Redis, key: string) => redis.set(key, '9223372036854775807')],
])('[R5] Redis poisoned with %s: the same decisions as alone', async (_what, poison) => {
  await using peer = await connect()
  const { redis } = peer
  await limiter(redis.client, 5).check('192.0.2.1')
  const [key = ''] = await redis.client.keys('*')
  await poison(redis.client, key)
  const { check } = limiter(redis.client, 5)
  expect(await countAllowed(check, 20)).toBe(5)
})

test('[R5] no Redis at the given address from the start: requests are limited, nothing fails', async () => {
  await using server = await startRedis()
  await server.stop()
  const logs = captureLogs()
  const redis = createRedis(server.url, createLogger({ level: 'info', service: 'test', destination: logs }))
  expect(await countAllowed(limiter(redis?.client, 5).check, 20)).toBe(5)
  await logs.waitFor((line) => String(line['msg']).startsWith('Redis is away'))
  await redis?.close()
})
