import { parseCidrs, Secret } from '@nexus/config'
import { createLogger, createServer } from '@nexus/service'
import { expect, test } from 'vitest'
import { installAuthentication } from '../src/http/authenticate-caller.ts'
import { installClientAddress } from '../src/http/caller-facts.ts'
import { bearing, keyId, makeAgentToken } from './agents.ts'
import { id } from './bodies.ts'
import { send, sendBytes, startGateway, type Gateway, type Sent } from './harness.ts'
import { startScriptedBroker } from './scripted-broker.ts'

/** Every route of the router as a request, with whom it is open to. */
function listRequests(gateway: Gateway): readonly (Sent & { readonly openTo: string })[] {
  return [...gateway.app.routeAccess].map(([route, openTo]) => {
    const [method = '', path = ''] = route.split(' ')
    const target = path
      .replace(':id', id)
      .replace(':key_id', keyId)
      .replace(':zone', 'eng')
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

const missing = 'Bearer realm="nexus-hub"'
const invalid = `${missing}, error="invalid_token"`

/** What is shown, its name, and the code and challenge that answer it. */
function listRefused(gateway: Gateway): readonly (readonly [string, Record<string, string | string[]>])[] {
  const [token, other] = [makeAgentToken(), makeAgentToken()]
  return [
    ['an incomplete token', bearing(token.slice(0, -1))],
    ['a token and more', bearing(`${token}x`)],
    ['a token in capitals', bearing(token.toUpperCase())],
    ['two spaces', { authorization: `Bearer  ${token}` }],
    ['two tokens in one', bearing(`${token}, ${other}`)],
    ['an empty token', { authorization: 'BEARER ' }],
    ['an empty header beside a token', { 'x-nexus-api-key': '', ...bearing(token) }],
    ['a scheme in the other header', { 'x-nexus-api-key': `Bearer ${token}` }],
    ['a repeated header', { 'x-nexus-api-key': [token, token] }],
    ['repeated credentials', { authorization: [`Bearer ${token}`, `Bearer ${other}`] }],
    ['an endless token', bearing('x'.repeat(5_000))],
    ["the Gateway's own key", { ...bearing(gateway.apiKey), 'x-api-key': gateway.apiKey }],
  ]
}

test('[C2] with REQUIRE_BEARER no agent route asks the Broker without a token', async () => {
  await using broker = await startScriptedBroker()
  await using gateway = await startGateway(broker, { env: { REQUIRE_BEARER: 'true' } })
  const agentRoutes = listRequests(gateway).filter(({ openTo }) => openTo === 'agents')
  const shown: readonly [string, Record<string, string>][] = [
    ['nothing', {}],
    ['another scheme', { authorization: 'Basic c2stOng=' }],
    ["an app's key", { 'x-api-key': gateway.apiKey }],
  ]

  expect(agentRoutes.length).toBeGreaterThanOrEqual(21)
  for (const { method, target } of agentRoutes) {
    for (const [what, headers] of shown) {
      const answer = await send(gateway, { ...(method === undefined ? {} : { method }), target, headers })
      expect(answer.json(), `${target} with ${what}`).toMatchObject({ code: 'missing_bearer_token' })
      expect(answer.headers, what).toMatchObject({ 'www-authenticate': missing, 'cache-control': 'no-store' })
      expect(answer.status).toBe(401)
    }
  }
  expect(broker.requests).toEqual([])
})

test.each(['true', 'false'])(
  '[C1] [C2] what cannot be a token is refused everywhere, with one and the same body (REQUIRE_BEARER=%s)',
  async (REQUIRE_BEARER) => {
    await using broker = await startScriptedBroker()
    await using gateway = await startGateway(broker, { env: { REQUIRE_BEARER } })
    const requestId = { 'x-request-id': 'req-12345678' }
    const bodies = new Set<string>()

    for (const { method, target } of listRequests(gateway).filter(({ openTo }) => openTo === 'agents')) {
      for (const [what, shown] of listRefused(gateway)) {
        const headers = { ...requestId, ...shown }
        const answer = await send(gateway, { ...(method === undefined ? {} : { method }), target, headers })
        expect(answer.status, `${target} with ${what}`).toBe(401)
        expect(answer.headers, what).toMatchObject({ 'www-authenticate': invalid, 'cache-control': 'no-store' })
        bodies.add(answer.text)
      }
    }

    expect([...bodies].map((body) => JSON.parse(body))).toMatchObject([{ code: 'invalid_token' }])
    expect(broker.requests).toEqual([])
  },
)

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
      'post /v1/hub/tokens',
      'put /v1/hub/tokens/{key_id}/zones/{zone}',
      'delete /v1/hub/zones/{zone}',
      'get /v1/hub/status',
    ]),
  )
  expect(answer.text).not.toContain('/auth/')
})
