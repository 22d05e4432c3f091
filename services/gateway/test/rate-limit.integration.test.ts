import { createLogger, createRedis, type RedisHandle } from '@nexus/service'
import { captureLogs, createManualClock, startRedis } from '@nexus/testing'
import { expect, test } from 'vitest'
import { send, startGateway, type Gateway } from './harness.ts'
import { startScriptedBroker } from './scripted-broker.ts'

const limited = { AUTH_RATE_LIMIT_PER_MINUTE: '3', TRUSTED_PROXIES: '127.0.0.1' }

async function open(gateway: Gateway, address: string): Promise<number> {
  const headers = { 'x-forwarded-for': address }
  return (await send(gateway, { target: '/auth/connect/ticket', headers })).status
}

async function openTimes(gateway: Gateway, address: string, times: number): Promise<readonly number[]> {
  const statuses: number[] = []
  for (let time = 0; time < times; time++) statuses.push(await open(gateway, address))
  return statuses
}

test('[C6] one address that asks too often gets a page and the time to wait; others are served', async () => {
  await using broker = await startScriptedBroker()
  const clock = createManualClock()
  await using gateway = await startGateway(broker, { env: limited, now: clock.now })
  broker.answer('GET /auth/connect/ticket', { body: 'page' })

  expect(await openTimes(gateway, '203.0.113.9', 4)).toEqual([200, 200, 200, 429])
  const answer = await send(gateway, {
    target: '/auth/callback',
    headers: { 'x-forwarded-for': '203.0.113.9', accept: 'application/json' },
  })
  expect(answer).toMatchObject({
    status: 429,
    headers: { 'retry-after': '60', 'content-type': 'text/html; charset=utf-8' },
  })
  expect(await open(gateway, '203.0.113.10')).toBe(200)
  expect(broker.requests).toHaveLength(4)

  clock.advance(60_000)
  expect(await open(gateway, '203.0.113.9')).toBe(200)
})

test('[C6] the addresses of one IPv6 customer count as one', async () => {
  await using broker = await startScriptedBroker()
  await using gateway = await startGateway(broker, { env: limited, now: createManualClock().now })
  broker.answer('GET /auth/connect/ticket', { body: 'page' })

  expect(await openTimes(gateway, '2001:db8:1:2::1', 3)).toEqual([200, 200, 200])
  expect(await open(gateway, '2001:db8:1:2:ffff::9')).toBe(429)
  expect(await open(gateway, '2001:db8:1:3::1')).toBe(200)
})

test('[C3] whoever is not a trusted proxy cannot choose the address that is counted', async () => {
  await using broker = await startScriptedBroker()
  const env = { AUTH_RATE_LIMIT_PER_MINUTE: '2' }
  await using gateway = await startGateway(broker, { env, now: createManualClock().now })
  broker.answer('GET /auth/connect/ticket', { body: 'page' })

  const statuses = [
    await open(gateway, '203.0.113.1'),
    await open(gateway, '203.0.113.2'),
    await open(gateway, '203.0.113.3'),
  ]

  expect(statuses).toEqual([200, 200, 429])
})

test('0 switches the limit off', async () => {
  await using broker = await startScriptedBroker()
  await using gateway = await startGateway(broker, { env: { AUTH_RATE_LIMIT_PER_MINUTE: '0' } })
  broker.answer('GET /auth/connect/ticket', { body: 'page' })

  expect(new Set(await openTimes(gateway, '203.0.113.9', 20))).toEqual(new Set([200]))
})

function connect(url: string): RedisHandle {
  const logs = captureLogs()
  const redis = createRedis(url, createLogger({ level: 'warn', service: 'gateway', destination: logs }))
  if (redis === undefined) throw new Error('there is a URL')
  return redis
}

test('[R5] with Redis the limit is that of all Gateways together; away or silent, each holds it alone', async () => {
  await using redisServer = await startRedis()
  await using broker = await startScriptedBroker()
  const clock = createManualClock()
  const handles = [connect(redisServer.url), connect(redisServer.url)] as const
  for (const handle of handles) await expect.poll(() => handle.ping(), { timeout: 10_000 }).toBe(true)
  await using one = await startGateway(broker, { env: limited, now: clock.now, redis: handles[0] })
  await using two = await startGateway(broker, { env: limited, now: clock.now, redis: handles[1] })
  broker.answer('GET /auth/connect/ticket', { body: 'page' })

  expect(await openTimes(one, '203.0.113.9', 2)).toEqual([200, 200])
  expect(await openTimes(two, '203.0.113.9', 2)).toEqual([200, 429])

  for (const impair of [async () => redisServer.pause(), redisServer.stop]) {
    clock.advance(60_000)
    await impair()
    expect(await openTimes(one, '203.0.113.9', 4)).toEqual([200, 200, 200, 429])
    expect(await openTimes(two, '203.0.113.9', 4)).toEqual([200, 200, 200, 429])
    const ready = await send(one, { target: '/health' })
    expect(ready.status).toBe(200)
    redisServer.resume()
  }
  for (const handle of handles) await handle.close()
})
