import { createManualClock } from '@nexus/testing'
import { expect, test } from 'vitest'
import { makeAgentToken } from './agents.ts'
import { id } from './bodies.ts'
import { type Answer, type Gateway, type Sent, makeState, send, sendJson, startGateway } from './harness.ts'
import { startScriptedBroker } from './scripted-broker.ts'

const described = {
  provider_name: 'payments',
  description: null,
  schema: { type: 'object', properties: { api_key: { type: 'string' } } },
  connection_id: id,
  expires_at: '2026-11-22T10:00:00.000Z',
}
const captured = { status: 'success', connection_id: id, provider: 'payments', return_url: 'https://app.example/done' }
const credentials = { api_key: 'typed-canary' }

function requestState(gateway: Gateway): string {
  return makeState(gateway, { purpose: 'request', connectionId: id })
}

/** What a page of somebody, or a confused agent, might add. */
const foreignHeaders = {
  authorization: `Bearer ${makeAgentToken('canary')}`,
  'x-api-key': 'canary',
  'x-nexus-api-key': makeAgentToken('canary'),
  'x-nexus-zone-id': 'canary',
  cookie: 'session=canary; nx-aa11=own',
  'x-forwarded-host': 'canary.example',
}

test('a form of the app’s own is described, and what was typed into it handed in, with nobody’s credential', async () => {
  await using broker = await startScriptedBroker()
  await using gateway = await startGateway(broker, { env: { REQUIRE_BEARER: 'true' } })
  const state = requestState(gateway)
  broker.answer('GET /auth/capture-schema', { body: { ...described, client_secret: 'master-canary' } })
  broker.answer('POST /auth/capture-credential', { body: { ...captured, refresh_token: 'master-canary' } })

  const schema = await send(gateway, { target: `/v1/capture-schema?state=${state}`, headers: foreignHeaders })
  expect([schema.status, schema.json()]).toEqual([200, described])
  const headers = { ...foreignHeaders, 'content-type': 'application/json', accept: 'text/html' }
  const body = JSON.stringify({ state, credentials })
  const answer = await send(gateway, { method: 'POST', target: '/v1/capture-credential', headers, body })
  expect([answer.status, answer.json()]).toEqual([200, captured])
  for (const { headers: answered } of [schema, answer]) expect(answered).toMatchObject({ 'cache-control': 'no-store' })

  expect(broker.requests.map(({ method, target }) => `${method} ${target}`)).toEqual([
    `GET /auth/capture-schema?state=${state}`,
    'POST /auth/capture-credential',
  ])
  expect(JSON.parse(broker.requests[1]!.body)).toEqual({ state, credentials })
  for (const request of broker.requests) {
    expect(request.headers).toMatchObject({ accept: 'application/json', 'x-forwarded-for': '127.0.0.1' })
    expect(request.headers).not.toHaveProperty('x-api-key')
    expect(request.rawHeaders.join('\n')).not.toMatch(/canary|nx-aa11/)
    expect(request.rawHeaders.join('\n')).not.toContain(gateway.apiKey)
  }
})

test('the public routes themselves pass as they are, JSON included', async () => {
  await using broker = await startScriptedBroker()
  await using gateway = await startGateway(broker)
  const state = requestState(gateway)
  broker.answer('GET /auth/capture-schema', { body: described })
  broker.answer('POST /auth/capture-credential', {
    status: 303,
    headers: { location: 'https://app.example/done?a=%20b' },
  })

  expect((await send(gateway, { target: `/auth/capture-schema?state=${state}` })).json()).toEqual(described)
  const body = `{ "state": "${state}",  "credentials": {"api_key": "typed-canary"} }`
  const headers = { ...foreignHeaders, 'content-type': 'application/json', accept: '*/*' }
  const answer = await send(gateway, { method: 'POST', target: '/auth/capture-credential', headers, body })

  expect(answer).toMatchObject({ status: 303, headers: { location: 'https://app.example/done?a=%20b' } })
  expect(broker.requests[1]).toMatchObject({ body, headers: { accept: '*/*', 'content-type': 'application/json' } })
  expect(broker.requests[1]?.rawHeaders.join('\n')).not.toMatch(/Bearer|x-api-key|session=/i)
})

test('[H1] what Nexus did not sign is refused at the edge, alike on all four, and in JSON', async () => {
  await using broker = await startScriptedBroker()
  await using gateway = await startGateway(broker)
  const good = requestState(gateway)
  const [payload = '', mac = ''] = good.split('.')
  const forged = `${payload}.${mac.startsWith('A') ? 'B' : 'A'}${mac.slice(1)}`
  const accept = 'text/html'
  const post = (target: string, body: string): Sent => {
    return { method: 'POST', target, headers: { 'content-type': 'application/json', accept }, body }
  }
  const bodies = new Set<string>()
  for (const root of ['/v1', '/auth']) {
    const answers = [
      await send(gateway, { target: `${root}/capture-schema?state=${forged}`, headers: { accept } }),
      await send(gateway, post(`${root}/capture-credential`, JSON.stringify({ state: forged, credentials }))),
    ]
    for (const answer of answers) {
      expect(answer).toMatchObject({ status: 400, headers: { 'content-type': 'application/json; charset=utf-8' } })
      bodies.add(JSON.stringify({ ...(answer.json() as object), request_id: '' }))
    }
    const doubtful: readonly Sent[] = [
      { target: `${root}/capture-schema` },
      { target: `${root}/capture-schema?state=${good}&state=${good}` },
      post(`${root}/capture-credential`, `{"state":"${good}","state":"${forged}","credentials":{}}`),
      post(`${root}/capture-credential`, `{"state":"${good}","credentials":{"__proto__":{}}}`),
      post(`${root}/capture-credential`, `{"state":["${good}"],"credentials":{}}`),
      post(`${root}/capture-credential`, `{"state":"${good}","credentials":${'['.repeat(40)}${']'.repeat(40)}}`),
      post(`${root}/capture-credential`, `[]`),
      post(`${root}/capture-credential`, `{"state":"${good}"`),
      post(`${root}/capture-credential?state=${good}`, JSON.stringify({ state: good, credentials })),
    ]
    for (const sent of doubtful) {
      const answer = await send(gateway, sent)
      expect.soft(answer.status, JSON.stringify(sent)).toBe(400)
      expect.soft(answer.headers['content-type']).toBe('application/json; charset=utf-8')
    }
  }
  expect([...bodies]).toEqual([
    JSON.stringify({ code: 'invalid_state', message: 'The state is not valid here', request_id: '' }),
  ])
  expect(broker.requests).toEqual([])
})

test('[C5] 64 KiB of JSON pass, and nothing larger or of another type', async () => {
  await using broker = await startScriptedBroker()
  await using gateway = await startGateway(broker)
  const state = requestState(gateway)
  broker.answer('POST /auth/capture-credential', { body: captured })
  for (const root of ['/v1', '/auth']) {
    const post = (body: string, type = 'application/json') =>
      send(gateway, { method: 'POST', target: `${root}/capture-credential`, headers: { 'content-type': type }, body })
    const around = (size: number): string => {
      const body = (text: string): string => JSON.stringify({ state, credentials: { api_key: text } })
      return body('x'.repeat(size - body('').length))
    }
    expect((await post(around(65_536))).status, root).toBe(200)
    expect(await post(around(65_537))).toMatchObject({ status: 413 })
    expect(await post(`state=${state}`, 'application/x-www-form-urlencoded')).toMatchObject({ status: 415 })
    expect(await post(around(400), 'text/plain')).toMatchObject({ status: 415 })
  }
  expect(broker.requests).toHaveLength(2)
})

test('what the Broker says of the fields reaches the front end as it is', async () => {
  await using broker = await startScriptedBroker()
  await using gateway = await startGateway(broker)
  const state = requestState(gateway)
  const refusal = {
    code: 'invalid_credentials',
    message: 'api_key: is missing',
    details: { fields: [{ field: 'api_key', rule: 'required', message: 'is missing' }] },
  }
  broker.answer('POST /auth/capture-credential', {
    status: 422,
    body: { ...refusal, request_id: 'x', inside: 'canary' },
  })
  const answer = await sendJson(gateway, '/v1/capture-credential', { state, credentials: {} })
  expect([answer.status, answer.json()]).toEqual([422, { ...refusal, request_id: expect.any(String) }])
})

test('a submission is never sent twice', async () => {
  await using broker = await startScriptedBroker()
  await using gateway = await startGateway(broker)
  broker.answer('POST /auth/capture-credential', (response) => void response.socket?.destroy())
  for (const root of ['/v1', '/auth']) {
    const answer = await sendJson(gateway, `${root}/capture-credential`, { state: requestState(gateway), credentials })
    expect(answer).toMatchObject({ status: 502, headers: { 'retry-after': '2' } })
    expect(answer.json()).toMatchObject({ code: 'broker_unavailable' })
  }
  expect(broker.requests).toHaveLength(2)
})

test('[C6] they count to the limit of the address that all public routes share', async () => {
  await using broker = await startScriptedBroker()
  const env = { AUTH_RATE_LIMIT_PER_MINUTE: '3', CORS_ALLOWED_ORIGINS: 'https://app.example.com' }
  await using gateway = await startGateway(broker, { env, now: createManualClock().now })
  broker.answer('GET /auth/connect/ticket', { body: 'page' })
  const headers = { origin: 'https://app.example.com' }
  const statuses = [
    (await send(gateway, { target: '/auth/connect/ticket' })).status,
    (await send(gateway, { target: '/v1/capture-schema?state=x' })).status,
    (await send(gateway, { method: 'OPTIONS', target: '/v1/capture-credential', headers })).status,
  ]
  expect(statuses).toEqual([200, 400, 204])
  const limited = await send(gateway, { target: '/v1/capture-schema?state=x', headers })
  expect(limited).toMatchObject({
    status: 429,
    // the page is to know why, and how long
    headers: { 'retry-after': '60', 'access-control-allow-origin': headers.origin },
  })
  expect(limited.json()).toMatchObject({ code: 'rate_limited' })
})

const app = 'https://app.example.com'

/** The headers by which a server allows something to pages. */
function allowances({ headers }: Answer): Record<string, unknown> {
  return Object.fromEntries(Object.entries(headers).filter(([name]) => name.startsWith('access-control-')))
}

test('pages of the listed origins, and of no other, may call the two and read what comes of it', async () => {
  await using broker = await startScriptedBroker()
  const env = { CORS_ALLOWED_ORIGINS: `${app},http://localhost:3000` }
  await using gateway = await startGateway(broker, { env })
  const state = requestState(gateway)
  broker.answer('GET /auth/capture-schema', { body: described })

  for (const [path, method] of [
    ['/v1/capture-schema', 'GET'],
    ['/v1/capture-credential', 'POST'],
  ] as const) {
    const preflight = (origin: string) =>
      send(gateway, {
        method: 'OPTIONS',
        target: path,
        headers: { origin, 'access-control-request-method': method, 'access-control-request-headers': 'content-type' },
      })
    for (const origin of [app, 'http://localhost:3000']) {
      const answer = await preflight(origin)
      expect(answer).toMatchObject({ status: 204, text: '', headers: { vary: 'Origin' } })
      expect(allowances(answer)).toEqual({
        'access-control-allow-origin': origin,
        'access-control-allow-methods': method,
        'access-control-allow-headers': 'Content-Type',
        'access-control-expose-headers': 'Retry-After, X-Request-Id',
        'access-control-max-age': '600',
      })
    }
    const near = [
      'https://app.example.com.evil.example',
      'https://evil.example',
      'http://app.example.com',
      'null',
      `${app}/`,
    ]
    for (const origin of [...near, `${app}, ${app}`, app.toUpperCase(), '*', `${app}:443`]) {
      const answer = await preflight(origin)
      expect(allowances(answer), origin).toEqual({})
      expect(answer.headers, 'a cache is not to serve it to others').toMatchObject({ vary: 'Origin' })
    }
  }

  const read = { 'access-control-allow-origin': app, 'access-control-expose-headers': 'Retry-After, X-Request-Id' }
  const headers = { origin: app, 'content-type': 'application/json' }
  const answers: readonly (readonly [number, Answer])[] = [
    [200, await send(gateway, { target: `/v1/capture-schema?state=${state}`, headers })],
    [400, await send(gateway, { target: '/v1/capture-schema?state=x', headers })],
    [400, await send(gateway, { method: 'POST', target: '/v1/capture-credential', headers, body: '{' })],
    [413, await send(gateway, { method: 'POST', target: '/v1/capture-credential', headers, body: ' '.repeat(65_537) })],
    [
      415,
      await send(gateway, {
        method: 'POST',
        target: '/v1/capture-credential',
        headers: { origin: app, 'content-type': 'text/plain' },
        body: 'x',
      }),
    ],
  ]
  for (const [status, answer] of answers) {
    expect(answer.status).toBe(status)
    expect(allowances(answer), String(status)).toEqual(read)
  }
  const foreign = await send(gateway, {
    target: `/v1/capture-schema?state=${state}`,
    headers: { origin: 'https://evil.example' },
  })
  expect(allowances(foreign)).toEqual({})
  // the state is the credential, wherever it comes from; only the page may not read the answer
  expect(foreign.status).toBe(200)
})

test('no other route is opened to pages, and without a list none at all', async () => {
  await using broker = await startScriptedBroker()
  await using listed = await startGateway(broker, { env: { CORS_ALLOWED_ORIGINS: app } })
  await using closed = await startGateway(broker)
  broker.answer('GET /providers', { body: [] })
  const headers = { origin: app, 'access-control-request-method': 'GET' }
  for (const target of [
    '/v1/providers',
    '/v1/token/x',
    '/auth/capture-schema',
    '/auth/capture-credential',
    '/auth/callback',
  ]) {
    for (const method of ['GET', 'OPTIONS']) {
      expect(allowances(await send(listed, { method, target, headers })), `${method} ${target}`).toEqual({})
    }
  }
  for (const target of ['/v1/capture-schema', '/v1/capture-credential']) {
    expect(await send(closed, { method: 'OPTIONS', target, headers })).toMatchObject({ status: 404 })
    expect(allowances(await send(closed, { target, headers }))).toEqual({})
  }
  const { routeAccess } = listed.app
  expect([...routeAccess.keys()].filter((route) => route.startsWith('OPTIONS')).toSorted()).toEqual([
    'OPTIONS /v1/capture-credential',
    'OPTIONS /v1/capture-schema',
  ])
})
