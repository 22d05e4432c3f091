import { Redis } from 'ioredis'
import { expect, onTestFinished, test, vi } from 'vitest'
import { startRedis, type TestRedis } from './redis.ts'

async function start(): Promise<TestRedis> {
  const redis = await startRedis()
  onTestFinished(() => redis[Symbol.asyncDispose]())
  return redis
}

function connect(redis: TestRedis): Redis {
  const client = new Redis(redis.url, { maxRetriesPerRequest: 0, commandTimeout: 300, retryStrategy: () => 20 })
  client.on('error', () => undefined)
  onTestFinished(() => client.disconnect())
  return client
}

/** From now on this test's Redis is a database of a server that is given. */
async function giveServer(): Promise<void> {
  const shared = await start()
  vi.stubEnv('TEST_REDIS_URL', shared.url)
  onTestFinished(() => void vi.unstubAllEnvs())
}

test.each([
  ['a server of our own', async () => undefined],
  ['a database of a server that is given', giveServer],
])('%s stops, starts, pauses and resumes', async (_what, prepare) => {
  await prepare()
  const redis = await start()
  const client = connect(redis)
  expect(await client.set('a', '1')).toBe('OK')
  expect(await redis.dump()).toContain('a (string, ttl -1): 1')
  await redis.stop()
  await expect(client.get('a')).rejects.toThrow('max retries per request')
  await redis.start()
  await expect.poll(() => client.ping().catch(String), { timeout: 10_000 }).toBe('PONG')
  redis.pause()
  await expect(client.ping()).rejects.toThrow('timed out')
  redis.resume()
  await expect.poll(() => client.ping().catch(String), { timeout: 10_000 }).toBe('PONG')
})

test('two files never share a database of a server that is given', async () => {
  await giveServer()
  const [first, second] = [await start(), await start()]
  await connect(first).set('a', '1')
  expect(await first.dump()).toContain('a (string, ttl -1): 1')
  expect(await second.dump()).toBe('')
})

test('without any Redis there is an error that says what to do', async () => {
  vi.stubEnv('PATH', '/nowhere')
  onTestFinished(() => void vi.unstubAllEnvs())
  const { findRedisServer } = await import('./redis-server.ts')
  // Homebrew's folder is looked into whatever PATH says
  if (findRedisServer() !== undefined) return
  await expect(startRedis()).rejects.toThrow('install redis-server, or give TEST_REDIS_URL')
})
