import { once } from 'node:events'
import { type Socket, connect as connectSocket } from 'node:net'
import { expect } from 'vitest'
import { earlyInTheMinute } from './database-tools.ts'
import { startTestBroker } from './harness.ts'
import { test } from './handshake-scene.ts'
import { collectRoutes } from './route-list.ts'

const link = `/auth/connect/${'x'.repeat(43)}`

test('[C6] a greedy browser is told when to come back; programs and probes are not its victims', async ({
  database,
}) => {
  await using broker = await startTestBroker(database, { env: { AUTH_RATE_LIMIT_PER_MINUTE: '5' } })
  await earlyInTheMinute()
  const open = (path: string) => broker.get(path, { key: undefined, headers: { accept: 'text/html' } })
  const statuses: number[] = []
  for (const path of [link, '/auth/callback?state=x', link, '/auth/callback/acme', link]) {
    statuses.push((await open(path)).status)
  }
  expect(statuses).not.toContain(429)

  for (const path of [link, '/auth/callback?state=x', '/auth/callback/acme?code=1']) {
    const refused = await open(path)
    expect(refused.status, path).toBe(429)
    const seconds = Number(refused.headers.get('retry-after'))
    expect(seconds).toBeGreaterThanOrEqual(1)
    expect(seconds).toBeLessThanOrEqual(60)
    expect(refused.headers.get('content-type')).toMatch(/^text\/html/)
    expect(refused.headers.get('cache-control')).toBe('no-store')
  }
  for (const path of ['/health', '/health/ready', '/auth/assets/page.css']) {
    expect((await open(path)).status, path).toBe(200)
  }
  expect((await broker.get('/connections')).status).toBe(200)
})

test('[C6] [C3] addresses are counted apart, and only trusted proxies name them', async ({ database }) => {
  const env = { AUTH_RATE_LIMIT_PER_MINUTE: '2', TRUSTED_PROXIES: '127.0.0.1/32' }
  await using broker = await startTestBroker(database, { env })
  await earlyInTheMinute()
  const open = async (address: string): Promise<number> =>
    (await broker.get(link, { key: undefined, headers: { 'x-forwarded-for': address } })).status
  for (const address of ['203.0.113.1', '203.0.113.2', '2001:db8::1']) {
    expect([await open(address), await open(address), await open(address)], address).toEqual([404, 404, 429])
  }
  expect(await open('2001:db8::2'), 'a /64 is one client').toBe(429)
  expect(await open('6.6.6.6, 203.0.113.1'), 'what a client writes in front changes nothing').toBe(429)

  await using direct = await startTestBroker(database, { env: { AUTH_RATE_LIMIT_PER_MINUTE: '2' } })
  await earlyInTheMinute()
  const pretend = (n: number) => direct.get(link, { key: undefined, headers: { 'x-forwarded-for': `203.0.113.${n}` } })
  expect((await Promise.all([1, 2, 3, 4].map(pretend))).map(({ status }) => status).toSorted((a, b) => a - b)).toEqual([
    404, 404, 429, 429,
  ])
})

/** Clients that begin a request and do not go on. */
async function openSlowClients(port: number, count: number, beginning: string): Promise<readonly Socket[]> {
  return Promise.all(
    Array.from({ length: count }, async () => {
      const socket = connectSocket({ port, host: '127.0.0.1' })
      socket.on('error', () => undefined)
      await once(socket, 'connect')
      socket.write(beginning)
      return socket
    }),
  )
}

test('[C6] two hundred slow clients hurt nobody else', async ({ database }) => {
  await using broker = await startTestBroker(database, { env: { AUTH_RATE_LIMIT_PER_MINUTE: '0' } })
  const port = Number(new URL(broker.url).port)
  const beginnings = [
    `GET ${link} HTTP/1.1\r\nHost: nexus\r\nX-Slow: `,
    `POST /auth/callback HTTP/1.1\r\nHost: nexus\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 60000\r\n\r\nstate=`,
  ]
  const slow = (await Promise.all(beginnings.map((text) => openSlowClients(port, 100, text)))).flat()
  try {
    const started = performance.now()
    const answers = await Promise.all(Array.from({ length: 50 }, () => broker.get('/connections?limit=1')))
    expect(answers.every(({ status }) => status === 200)).toBe(true)
    expect(performance.now() - started, 'milliseconds for fifty lists').toBeLessThan(5_000)
    expect(
      slow.filter((socket) => !socket.destroyed),
      'all of them were still there',
    ).toHaveLength(200)
  } finally {
    for (const socket of slow) socket.destroy()
  }
})

test('[C6] the server waits for nobody without end', async ({ database }) => {
  const { result: broker, servers } = await collectRoutes(() => startTestBroker(database))
  await using _ = broker
  expect(servers).toHaveLength(1)
  // what happens when they run out is proven in packages/service/test/slow-clients.integration.test.ts
  for (const server of servers) {
    for (const limit of ['headersTimeout', 'requestTimeout', 'timeout', 'keepAliveTimeout'] as const) {
      expect(server[limit], limit).toBeGreaterThan(0)
      expect(server[limit], limit).toBeLessThanOrEqual(90_000)
    }
    expect(server.maxConnections).toBeGreaterThan(0)
  }
})
