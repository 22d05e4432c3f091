import { test } from '@nexus/testing/vitest'
import { expect } from 'vitest'
import { startTestBroker } from './harness.ts'
import { collectRoutes, listRoutes } from './route-list.ts'

/** A new route belongs here, or needs a credential. */
const publicRoutes = [
  'GET /auth/assets/brand.css',
  'GET /auth/assets/logo',
  'GET /auth/assets/page.css',
  'GET /auth/assets/page.js',
  'GET /auth/callback',
  'GET /auth/callback/:provider',
  'GET /auth/capture-schema',
  'GET /auth/connect/:ticket',
  'GET /health',
  'GET /health/ready',
  'POST /auth/callback',
  'POST /auth/callback/:provider',
  'POST /auth/capture-credential',
  'POST /auth/connect/:ticket',
]

const brokerTest = test.extend('routes', { scope: 'file' }, async ({ database }, { onCleanup }) => {
  const env = { AUTH_RATE_LIMIT_PER_MINUTE: '0' }
  const { result, routes } = await collectRoutes(() => startTestBroker(database, { env }))
  onCleanup(() => result[Symbol.asyncDispose]())
  return { broker: result, list: listRoutes(routes) }
})

const nameOf = ({ method, pattern }: { readonly method: string; readonly pattern: string }) => `${method} ${pattern}`

brokerTest('[C2] the public routes are exactly these, by the router itself', ({ routes: { list } }) => {
  expect(list.length).toBeGreaterThan(20)
  expect(
    list
      .filter(({ access }) => access === 'public')
      .map(nameOf)
      .toSorted(),
  ).toEqual(publicRoutes)
})

brokerTest('[C2] every other route refuses a caller without a credential', async ({ routes: { broker, list } }) => {
  for (const route of list.filter(({ access }) => access !== 'public')) {
    const answer = await broker.send(route.method, route.path, { key: undefined })
    expect(answer, nameOf(route)).toMatchObject({ status: 401, body: { code: 'missing_api_key' } })
    const wrong = await broker.send(route.method, route.path, { key: 'w'.repeat(64) })
    expect(wrong, nameOf(route)).toMatchObject({ status: 401, body: { code: 'invalid_api_key' } })
    expect(wrong.headers.get('cache-control')).toBe('no-store')
  }
})

brokerTest('[C2] no public route asks for one', async ({ routes: { broker, list } }) => {
  for (const route of list.filter(({ access }) => access === 'public')) {
    const { status } = await broker.send(route.method, route.path, { key: undefined })
    expect([200, 303, 400, 404, 410, 415], `${nameOf(route)}: ${status}`).toContain(status)
  }
})

brokerTest('[C2] methods that no route has answer 404, and run nothing', async ({ routes: { broker, list } }) => {
  for (const { path } of list) {
    for (const method of ['HEAD', 'OPTIONS', 'PROPFIND']) {
      const { status } = await broker.send(method, path)
      expect(status, `${method} ${path}`).toBe(404)
    }
  }
})

brokerTest('without ADMIN_API_KEY the one key serves both, and the start says so', async ({ database }) => {
  await using broker = await startTestBroker(database, { env: { ADMIN_API_KEY: '' } })
  const { API_KEY: key } = broker.keys
  expect((await broker.get('/providers/by-name/nobody', { key })).status).toBe(404)
  expect((await broker.get('/connections', { key })).status).toBe(200)
  expect(broker.logs.text()).toContain('ADMIN_API_KEY is not set')
})

brokerTest('ALLOWED_CIDRS looks at the peer of the socket, whatever a header says', async ({ database, routes }) => {
  const env = { ALLOWED_CIDRS: '10.0.0.0/8,::ffff:192.0.2.0/120', TRUSTED_PROXIES: '127.0.0.1/32' }
  await using broker = await startTestBroker(database, { env })
  for (const route of routes.list) {
    const { API_KEY: key } = broker.keys
    const answer = await broker.send(route.method, route.path, { key, headers: { 'x-forwarded-for': '10.1.2.3' } })
    if (route.access === 'public') expect(answer.status, nameOf(route)).not.toBe(403)
    else expect(answer, nameOf(route)).toMatchObject({ status: 403, body: { code: 'address_not_allowed' } })
  }
  await using open = await startTestBroker(database, { env: { ALLOWED_CIDRS: '::ffff:127.0.0.0/104' } })
  expect((await open.get('/connections')).status, 'IPv4-mapped blocks count as IPv4').toBe(200)
})
