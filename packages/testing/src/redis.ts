import { randomBytes } from 'node:crypto'
import { Redis } from 'ioredis'
import { dumpRedis } from './redis-dump.ts'
import { findRedisServer, installRedisServer, spawnRedisServer } from './redis-server.ts'
import { startTcpProxy } from './tcp-proxy.ts'

/** A real Redis. Disposing of it stops it; what it held is gone then. */
export type TestRedis = AsyncDisposable & {
  readonly url: string
  /** Gone at once, connections cut; a server of our own forgets everything. */
  readonly stop: () => Promise<void>
  /** Back after `stop`, under the same URL. */
  readonly start: () => Promise<void>
  /** Reachable, but without answers. */
  readonly pause: () => void
  readonly resume: () => void
  /** All keys and values as text: for scans that look for secrets. */
  readonly dump: () => Promise<string>
  readonly flush: () => Promise<void>
}

/**
 * Starts a Redis for one test file, on a random port: the server at `TEST_REDIS_URL` (one of its databases, behind a
 * proxy), else a `redis-server` of this machine, else Docker with `TEST_USE_DOCKER=1`, else, on Debian as root, the
 * distribution's package. Without any, the running test is skipped and says so; in CI (`CI=true`) it fails.
 *
 * @throws Error that says how to get one, if there is none
 */
export async function startRedis(): Promise<TestRedis> {
  const given = process.env['TEST_REDIS_URL'] || undefined
  if (given !== undefined) return leaseDatabase(given)
  const found = findRedisServer()
  if (found !== undefined) return startOwnServer(found)
  if (process.env['TEST_USE_DOCKER'] === '1') return startContainer()
  const installed = await installRedisServer()
  if (installed !== undefined) return startOwnServer(installed)
  await skipOutsideCi()
  throw new Error(
    'no Redis: install redis-server, or give TEST_REDIS_URL, or set TEST_USE_DOCKER=1 where Docker is at hand',
  )
}

/** Who has no Redis and may not install one still gets a green run, with the reason beside each test that needed it. */
async function skipOutsideCi(): Promise<void> {
  if (process.env['CI'] === 'true') return
  // only a test run gets here: the package itself is also loaded without vitest
  const { TestRunner } = await import('vitest')
  TestRunner.getCurrentTest()?.context.skip('no Redis on this machine; CI runs this test')
}

async function startOwnServer(binary: string): Promise<TestRedis> {
  const server = await spawnRedisServer(binary)
  const url = `redis://127.0.0.1:${server.port}/0`
  return { ...server, url, ...contentOf(url) }
}

async function startContainer(): Promise<TestRedis> {
  const { GenericContainer } = await import('testcontainers')
  const container = await new GenericContainer('redis:7-alpine').withExposedPorts(6379).start()
  const proxied = await behindProxy(`redis://${container.getHost()}:${container.getMappedPort(6379)}/0`)
  const dispose = async (): Promise<void> => {
    await proxied[Symbol.asyncDispose]()
    await container.stop()
  }
  return { ...proxied, [Symbol.asyncDispose]: dispose }
}

/** A server that is not ours to stop goes away by means of its network. */
async function behindProxy(serverUrl: string): Promise<TestRedis> {
  const { hostname, port } = new URL(serverUrl)
  const proxy = await startTcpProxy({ host: hostname, port: Number(port || 6379) })
  return {
    url: proxy.url(serverUrl),
    stop: proxy.refuse,
    start: proxy.accept,
    pause: () => proxy.pause(),
    resume: proxy.resume,
    ...contentOf(serverUrl),
    [Symbol.asyncDispose]: () => proxy[Symbol.asyncDispose](),
  }
}

/** Test files run side by side: each takes one of the server's numbered databases, and 0 holds the leases. */
async function leaseDatabase(serverUrl: string): Promise<TestRedis> {
  const leases = new URL(serverUrl)
  leases.pathname = '/0'
  const holder = randomBytes(8).toString('hex')
  const number = await withRedis(leases.href, (redis) => takeLease(redis, holder))
  const url = new URL(serverUrl)
  url.pathname = `/${number}`
  const proxied = await behindProxy(url.href)
  await proxied.flush()
  const dispose = async (): Promise<void> => {
    await proxied[Symbol.asyncDispose]()
    await proxied.flush()
    await withRedis(leases.href, (redis) => redis.del(leaseKey(number)))
  }
  return { ...proxied, [Symbol.asyncDispose]: dispose }
}

function leaseKey(number: number): string {
  return `nexus-test-database:${number}`
}

async function takeLease(redis: Redis, holder: string): Promise<number> {
  for (let number = 15; number > 0; number--) {
    if ((await redis.set(leaseKey(number), holder, 'EX', 3600, 'NX')) === 'OK') return number
  }
  throw new Error(
    'all 15 databases of the Redis at TEST_REDIS_URL are in use: delete nexus-test-database:* in database 0',
  )
}

function contentOf(url: string): Pick<TestRedis, 'dump' | 'flush'> {
  return {
    dump: () => withRedis(url, dumpRedis),
    flush: async () => void (await withRedis(url, (redis) => redis.flushdb())),
  }
}

async function withRedis<T>(url: string, use: (redis: Redis) => Promise<T>): Promise<T> {
  const redis = new Redis(url, { lazyConnect: true, maxRetriesPerRequest: 1 })
  try {
    await redis.connect()
    return await use(redis)
  } finally {
    redis.disconnect()
  }
}
