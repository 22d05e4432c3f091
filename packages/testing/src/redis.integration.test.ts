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

async function goesThroughItsLife(redis: TestRedis): Promise<void> {
  const client = connect(redis)
  expect(await client.set('a', '1')).toBe('OK')
  expect(await redis.dump()).toContain('a (string, ttl -1): 1')
  await redis.stop()
  await expect(client.get('a')).rejects.toThrow()
  await redis.start()
  await expect.poll(() => client.ping().catch(String)).toBe('PONG')
  redis.pause()
  await expect(client.ping()).rejects.toThrow('timed out')
  redis.resume()
  await expect.poll(() => client.ping().catch(String)).toBe('PONG')
}

test('a server of our own stops, starts, pauses and resumes', async () => {
  await goesThroughItsLife(await start())
})

test('so does a database of a server that is given, and two files never share one', async () => {
  const shared = await start()
  vi.stubEnv('TEST_REDIS_URL', shared.url)
  onTestFinished(() => void vi.unstubAllEnvs())
  const [first, second] = [await start(), await start()]
  await goesThroughItsLife(first)
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
