import { parseCidrs, Secret } from '@nexus/config'
import { createLogger, createServer } from '@nexus/service'
import { expect, test } from 'vitest'
import { installAuthentication } from '../src/http/authenticate-caller.ts'
import { installClientAddress } from '../src/http/caller-facts.ts'
import { id } from './bodies.ts'
import { send, sendBytes, startGateway, type Gateway, type Sent } from './harness.ts'
import { startScriptedBroker } from './scripted-broker.ts'

/** Every route of the router as a request, with whom it is open to. */
function listRequests(gateway: Gateway): readonly (Sent & { readonly openTo: string })[] {
  return [...gateway.app.routeAccess].map(([route, openTo]) => {
    const [method = '', path = ''] = route.split(' ')
    const target = path
      .replace(':id', id)
      .replace(':ticket', 'ticket')
      .replace(':provider', 'google')
      .replace('*', 'a.css')
    return { method, target, openTo }
  })
}

test('[C2] these routes are public, and no other', async () => {
  await using broker = await startScriptedBroker()
  await using gateway = await startGateway(broker)

  const open = [...gateway.app.routeAccess].filter(([, openTo]) => openTo === 'public').map(([route]) => route)

  expect(open.toSorted()).toEqual([
    'GET /auth/assets/*',
    'GET /auth/callback',
    'GET /auth/callback/:provider',
    'GET /auth/capture-schema',
    'GET /auth/connect/:ticket',
    'GET /health',
    'GET /health/ready',
    'GET /v1/capture-schema',
    'POST /auth/callback',
    'POST /auth/callback/:provider',
    'POST /auth/capture-credential',
    'POST /auth/connect/:ticket',
    'POST /v1/capture-credential',
  ])
})

test('[C2] a route that says neither or both cannot be registered', () => {
  const app = createServer({ logger: createLogger({ level: 'silent', service: 'test' }) })
  const everybody = parseCidrs('0.0.0.0/0')
  installClientAddress(app, everybody)
  const admitAgent = async () => undefined
  installAuthentication(app, { allowedCidrs: everybody, operationsKey: new Secret('k'), admitAgent })

  expect(() => app.get('/forgotten', () => '')).toThrow(/GET \/forgotten must declare/)
  expect(() => app.get('/both', { config: { public: true, openTo: 'agents' } }, () => '')).toThrow(/must declare/)
  expect(() => app.get('/nameless', { config: { openTo: 'agents' } }, () => '')).toThrow(/must name its operation/)
})

test('[C2] with REQUIRE_BEARER no agent route answers, whatever is shown', async () => {
  await using broker = await startScriptedBroker()
  await using gateway = await startGateway(broker, { env: { REQUIRE_BEARER: 'true' } })
  const agentRoutes = listRequests(gateway).filter(({ openTo }) => openTo === 'agents')
  const missing = 'Bearer realm="nexus-hub"'
  const invalid = `${missing}, error="invalid_token"`
  const shown: readonly [string, Record<string, string | string[]>, string, string][] = [
    ['nothing', {}, 'missing_bearer_token', missing],
    ['another scheme', { authorization: 'Basic c2stOng=' }, 'missing_bearer_token', missing],
    ['an unknown token', { authorization: 'Bearer sk-root_bot_00000000_x' }, 'invalid_token', invalid],
    ['the scheme in capitals', { authorization: 'BEARER sk-x' }, 'invalid_token', invalid],
    ['an empty token', { authorization: 'Bearer ' }, 'invalid_token', invalid],
    ['an empty header', { 'x-nexus-api-key': '' }, 'invalid_token', invalid],
    ['a repeated header', { 'x-nexus-api-key': ['sk-a', 'sk-b'] }, 'invalid_token', invalid],
    ['an endless token', { authorization: `Bearer ${'x'.repeat(5_000)}` }, 'invalid_token', invalid],
    [
      "the Gateway's own key",
      { authorization: `Bearer ${gateway.apiKey}`, 'x-api-key': gateway.apiKey },
      'invalid_token',
      invalid,
    ],
  ]

  expect(agentRoutes.length).toBeGreaterThanOrEqual(8)
  for (const { method, target } of agentRoutes) {
    for (const [what, headers, code, challenge] of shown) {
      const answer = await send(gateway, { ...(method === undefined ? {} : { method }), target, headers })
      expect(answer.json(), `${target} with ${what}`).toMatchObject({ code })
      expect(answer.headers, what).toMatchObject({ 'www-authenticate': challenge, 'cache-control': 'no-store' })
      expect(answer.status).toBe(401)
    }
  }
  expect(broker.requests).toEqual([])
})

test('[C1] every invalid token gets the same body', async () => {
  await using broker = await startScriptedBroker()
  await using gateway = await startGateway(broker, { env: { REQUIRE_BEARER: 'true' } })
  const headers = { 'x-request-id': 'req-12345678' }
  const tokens = ['Bearer x', 'bearer ', `Bearer ${gateway.apiKey}`, 'Bearer sk-root_bot_00000000_x']

  const bodies = await Promise.all(
    tokens.map(async (authorization) => {
      const answer = await send(gateway, { target: '/v1/providers', headers: { ...headers, authorization } })
      return answer.text
    }),
  )

  expect(new Set(bodies).size).toBe(1)
})

const operationsPaths = ['/metrics', '/openapi.json']

test('[C1] operations take the key in either header, and nothing else with one and the same body', async () => {
  await using broker = await startScriptedBroker()
  await using gateway = await startGateway(broker)
  const key = gateway.apiKey
  const wrong: readonly Record<string, string | string[]>[] = [
    { 'x-api-key': 'wrong' },
    { 'x-api-key': `${key}x` },
    { 'x-api-key': key.slice(0, -1) },
    { 'x-api-key': key.toUpperCase() },
    { 'x-api-key': '' },
    { 'x-api-key': [key, key] },
    { 'x-api-key': [key, 'x'] },
    { 'x-api-key': 'x'.repeat(10_000) },
    { authorization: `Bearer ${key}x` },
    { authorization: `Bearer  ${key}` },
    { authorization: [`Bearer ${key}`, 'Bearer x'] },
    { 'x-api-key': 'wrong', authorization: `Bearer ${key}` },
  ]

  for (const target of operationsPaths) {
    const requestId = { 'x-request-id': 'req-12345678' }
    expect((await send(gateway, { target, headers: { 'x-api-key': key } })).status).toBe(200)
    expect((await send(gateway, { target, headers: { authorization: `bearer ${key}` } })).status).toBe(200)
    expect((await send(gateway, { target })).json()).toMatchObject({ code: 'missing_api_key' })
    const bodies = new Set<string>()
    for (const headers of wrong) {
      const answer = await send(gateway, { target, headers: { ...requestId, ...headers } })
      expect(answer.status, JSON.stringify(headers)).toBe(401)
      bodies.add(answer.text)
    }
    expect([...bodies].map((body) => JSON.parse(body))).toMatchObject([{ code: 'invalid_api_key' }])
  }
})

test('[C1] a repeated Authorization header opens nothing, though Node keeps only the first', async () => {
  await using broker = await startScriptedBroker()
  await using gateway = await startGateway(broker)
  const lines = [`Authorization: Bearer ${gateway.apiKey}`, 'Authorization: Bearer other']

  const answer = await sendBytes(
    gateway,
    ['GET /metrics HTTP/1.1', 'Host: g', ...lines, 'Connection: close', '', ''].join('\r\n'),
  )

  expect(answer).toMatch(/^HTTP\/1\.1 401 /)
})

test('[C3] ALLOWED_CIDRS tests the client, on every route that is not public', async () => {
  await using broker = await startScriptedBroker()
  await using gateway = await startGateway(broker, {
    env: {
      ALLOWED_CIDRS: '198.51.100.0/24',
      TRUSTED_PROXIES: '127.0.0.0/8,10.0.0.0/8',
      // what proxies bring is refused to anonymous agents under any name that is not listed
      ALLOWED_HOSTS: '127.0.0.1',
    },
  })
  const refused = [
    '',
    '203.0.113.9',
    '198.51.100.7, 203.0.113.9',
    '198.51.100.7, 203.0.113.9, 10.1.2.3',
    'unknown',
    '::1',
  ]
  const allowed = ['198.51.100.7', '203.0.113.9, 198.51.100.7', '::ffff:198.51.100.7', '198.51.100.7, 10.1.2.3']

  for (const { target, openTo, method } of listRequests(gateway)) {
    if (openTo === 'public' || method !== 'GET') continue
    for (const forwarded of refused) {
      const headers = forwarded === '' ? {} : { 'x-forwarded-for': forwarded }
      const answer = await send(gateway, { target, headers })
      expect(answer.json(), `${target} from ${forwarded}`).toMatchObject({ code: 'address_not_allowed' })
      expect(answer.status).toBe(403)
    }
    for (const forwarded of allowed) {
      const answer = await send(gateway, { target, headers: { 'x-forwarded-for': forwarded } })
      expect(answer.status, `${target} from ${forwarded}`).not.toBe(403)
    }
  }
  expect((await send(gateway, { target: '/health' })).status).toBe(200)
})

test('[C3] without trusted proxies X-Forwarded-For is only a claim', async () => {
  await using broker = await startScriptedBroker()
  await using gateway = await startGateway(broker, { env: { ALLOWED_CIDRS: '198.51.100.0/24' } })

  const answer = await send(gateway, { target: '/v1/providers', headers: { 'x-forwarded-for': '198.51.100.7' } })

  expect(answer.json()).toMatchObject({ code: 'address_not_allowed' })
})

test('the OpenAPI document lists the routes for programs', async () => {
  await using broker = await startScriptedBroker()
  await using gateway = await startGateway(broker)

  const answer = await send(gateway, { target: '/openapi.json', headers: { 'x-api-key': gateway.apiKey } })

  const { openapi, paths } = answer.json() as { openapi: string; paths: Record<string, Record<string, unknown>> }
  expect(openapi).toBe('3.1.0')
  expect(
    Object.entries(paths).flatMap(([path, item]) => Object.keys(item).map((method) => `${method} ${path}`)),
  ).toEqual(
    expect.arrayContaining([
      'get /v1/providers',
      'get /v1/providers/metadata',
      'post /v1/request-connection',
      'get /v1/check-connection/{id}',
      'get /v1/token/{id}',
      'post /v1/refresh/{id}',
      'post /v1/complete-connection',
      'get /v1/connections',
      'get /v1/connections/{id}',
    ]),
  )
  expect(answer.text).not.toContain('/auth/')
})
