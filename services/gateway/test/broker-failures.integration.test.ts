import { freePort, startTcpProxy } from '@nexus/testing'
import { expect, test } from 'vitest'
import { id, payloadBody } from './bodies.ts'
import { send, sendJson, startGateway } from './harness.ts'
import { startScriptedBroker } from './scripted-broker.ts'

const token = { target: `/v1/token/${id}` }
const refresh = { method: 'POST', target: `/v1/refresh/${id}` }

test.each([
  [404, { code: 'connection_not_found', message: 'There is no such connection' }],
  [409, { code: 'connection_not_active', message: 'Not active', details: { status: 'revoked' } }],
  [409, { code: 'attention_required', message: 'The account must be connected again' }],
  [422, { code: 'scope_not_allowed', message: 'scopes: not allowed', details: { scopes: ['mail'] } }],
  [401, { code: 'missing_bearer_token', message: 'Send an agent token' }],
  [403, { code: 'insufficient_permission', message: 'Not in this zone' }],
  [502, { code: 'provider_unavailable', message: 'The provider does not answer' }],
  [503, { code: 'refresh_in_progress', message: 'Somebody is refreshing' }],
] as const)('%i %o of the Broker is the answer', async (status, body) => {
  await using broker = await startScriptedBroker()
  await using gateway = await startGateway(broker)
  broker.answer(`GET /connections/${id}/token`, {
    status,
    headers: { 'retry-after': '7', 'x-nexus-identity': 'inside' },
    body: { ...body, request_id: 'of-the-broker', stack: 'inside' },
  })

  const answer = await send(gateway, { ...token, headers: { 'x-request-id': 'req-12345678' } })

  expect(answer.status).toBe(status)
  expect(answer.json()).toEqual({ ...body, request_id: 'req-12345678' })
  expect(answer.headers).toMatchObject({ 'retry-after': '7', 'cache-control': 'no-store' })
  expect(answer.headers).not.toHaveProperty('x-nexus-identity')
})

test('a 500 of the Broker keeps its code and says nothing of the inside', async () => {
  await using broker = await startScriptedBroker()
  await using gateway = await startGateway(broker)
  const body = { code: 'vault_integrity', message: 'row 7 of tokens', request_id: 'x' }
  broker.answer(`GET /connections/${id}/token`, { status: 500, body })

  const answer = await send(gateway, token)

  expect(answer).toMatchObject({ status: 500 })
  expect(answer.json()).toMatchObject({ code: 'vault_integrity', message: expect.not.stringContaining('row 7') })
})

test.each([
  [401, 'invalid_api_key', 'BROKER_API_KEY is refused'],
  [401, 'missing_api_key', 'set BROKER_API_KEY'],
  [403, 'forbidden', 'BROKER_API_KEY is refused for this route'],
  [403, 'address_not_allowed', 'ALLOWED_CIDRS'],
  [404, 'route_not_found', 'upgrade the Broker'],
])('%i %s concerns the Gateway: the agent sees a 502, the operator what to do', async (status, code, advice) => {
  await using broker = await startScriptedBroker()
  await using gateway = await startGateway(broker)
  broker.answer('GET /providers', { status, body: { code, message: 'no', request_id: 'x' } })

  const answer = await send(gateway, { target: '/v1/providers' })

  expect(answer).toMatchObject({ status: 502, headers: { 'retry-after': '2' } })
  expect(answer.json()).toMatchObject({ code: 'broker_unavailable' })
  expect(answer.text).not.toMatch(/key|ALLOWED/i)
  expect(gateway.logs.text()).toContain(advice)
})

test.each([
  ['a page of some proxy', { status: 503, body: '<html>busy</html>' }],
  ['a code that is not on the list', { status: 418, body: { code: 'teapot', message: 'x' } }],
  ['a code that only prototypes have', { status: 400, body: { code: 'constructor', message: 'x' } }],
  ['an error without a message', { status: 404, body: { code: 'connection_not_found' } }],
  ['a redirect', { status: 302, headers: { location: 'http://127.0.0.1:1/' } }],
  ['a success that is not JSON', { status: 200, body: 'access-token-canary' }],
  ['a success without what the contract promises', { status: 200, body: { access_token: 'access-token-canary' } }],
  ['nothing', { status: 200 }],
])('%s is 502 broker_unavailable', async (_what, scripted) => {
  await using broker = await startScriptedBroker()
  await using gateway = await startGateway(broker)
  broker.answer(`GET /connections/${id}/token`, scripted)

  const answer = await send(gateway, token)

  expect(answer).toMatchObject({ status: 502, headers: { 'retry-after': '2' } })
  expect(answer.json()).toMatchObject({ code: 'broker_unavailable' })
  expect(answer.text + gateway.logs.text()).not.toContain('access-token-canary')
})

test('a Broker that is away is 502 with Retry-After, and its return is noticed without a restart', async () => {
  await using broker = await startScriptedBroker()
  await using proxy = await startTcpProxy({ port: broker.port })
  await using gateway = await startGateway({ url: proxy.url(broker.url) })
  broker.answer(`GET /connections/${id}/token`, { body: payloadBody })

  await proxy.refuse()
  const away = await send(gateway, token)
  await proxy.accept()
  const back = await send(gateway, token)

  expect(away).toMatchObject({ status: 502, headers: { 'retry-after': '2' } })
  expect(away.json()).toMatchObject({ code: 'broker_unavailable' })
  expect(back.status).toBe(200)
})

test('an address where nothing listens is named neither to agents nor to browsers', async () => {
  const port = await freePort()
  await using gateway = await startGateway({ url: `http://127.0.0.1:${port}` })

  const answer = await send(gateway, token)

  expect(answer.status).toBe(502)
  expect(answer.text).not.toContain(String(port))
})

test('a read whose kept-alive connection broke is sent once more', async () => {
  await using broker = await startScriptedBroker()
  await using gateway = await startGateway(broker)
  let calls = 0
  broker.answer(`GET /connections/${id}/token`, (response) => {
    calls += 1
    if (calls === 1) response.socket?.resetAndDestroy()
    else response.setHeader('content-type', 'application/json').end(JSON.stringify(payloadBody))
  })

  const answer = await send(gateway, token)

  expect(answer.status).toBe(200)
  expect(calls).toBe(2)
})

test('a read that breaks twice is not sent a third time', async () => {
  await using broker = await startScriptedBroker()
  await using gateway = await startGateway(broker)
  broker.answer(`GET /connections/${id}/token`, (response) => void response.socket?.destroy())

  expect((await send(gateway, token)).status).toBe(502)
  expect(broker.requests).toHaveLength(2)
})

test('a read that broke in the middle of its answer is not sent again', async () => {
  await using broker = await startScriptedBroker()
  await using gateway = await startGateway(broker)
  broker.answer(`GET /connections/${id}/token`, (response) => {
    response.writeHead(200, { 'content-type': 'application/json', 'content-length': '500' })
    response.write('{"access_token":"access-token-canary"', () => response.socket?.destroy())
  })

  const answer = await send(gateway, token)

  expect(answer.status).toBe(502)
  expect(answer.text).not.toContain('canary')
  expect(broker.requests).toHaveLength(1)
})

test('what is not idempotent is never sent again', async () => {
  await using broker = await startScriptedBroker()
  await using gateway = await startGateway(broker)
  broker.answer(`POST /connections/${id}/refresh`, (response) => void response.socket?.resetAndDestroy())
  broker.answer('POST /auth/consent-spec', (response) => void response.socket?.resetAndDestroy())

  expect((await send(gateway, refresh)).status).toBe(502)
  const asked = await sendJson(gateway, '/v1/request-connection', { user_id: 'u', provider_name: 'p' })

  expect(asked.status).toBe(502)
  expect(broker.requests.map(({ target }) => target)).toEqual([`/connections/${id}/refresh`, '/auth/consent-spec'])
})

test('a Broker that hangs, before its answer or within it, costs the deadline and no more', async () => {
  await using broker = await startScriptedBroker()
  await using gateway = await startGateway(broker, { deadlines: { usual: 60, long: 60 } })
  broker.answer('GET /providers', () => {})
  broker.answer(`GET /connections/${id}/token`, (response) => {
    response.writeHead(200, { 'content-length': '500' }).write('{')
  })

  const [silent, half] = await Promise.all([send(gateway, { target: '/v1/providers' }), send(gateway, token)])

  expect(silent.json()).toMatchObject({ code: 'broker_unavailable' })
  expect(half.json()).toMatchObject({ code: 'broker_unavailable' })
  expect(broker.requests).toHaveLength(2)
})

test('[C6] an answer without end is cut, and its connection closed', async () => {
  await using broker = await startScriptedBroker()
  await using gateway = await startGateway(broker)
  const closed = Promise.withResolvers<void>()
  broker.answer('GET /providers', (response) => {
    response.once('close', () => closed.resolve())
    const more = () => {
      while (!response.destroyed && response.write('a'.repeat(1_000_000)));
    }
    response.on('drain', more)
    more()
  })

  const answer = await send(gateway, { target: '/v1/providers' })
  await closed.promise

  expect(answer.json()).toMatchObject({ code: 'broker_unavailable' })
})

test('readiness is that of the Broker, asked for once however many look', async () => {
  await using broker = await startScriptedBroker()
  await using gateway = await startGateway(broker)
  broker.answer('GET /health/ready', { body: { status: 'ready' } })

  const looks = await Promise.all(Array.from({ length: 20 }, () => send(gateway, { target: '/health/ready' })))

  expect(looks.map(({ status }) => status)).toEqual(Array.from({ length: 20 }, () => 200))
  expect(looks[0]?.json()).toEqual({ status: 'ready', broker: 'ok', redis: 'n/a' })
  expect(broker.requests).toHaveLength(1)
  expect(broker.requests[0]?.headers).not.toHaveProperty('x-api-key')
})

test('a Broker that is not ready makes the Gateway not ready, but no less alive', async () => {
  await using broker = await startScriptedBroker()
  await using gateway = await startGateway(broker)
  broker.answer('GET /health/ready', { status: 503, body: { status: 'not_ready', postgres: 'away' } })

  const ready = await send(gateway, { target: '/health/ready' })

  expect(ready.status).toBe(503)
  expect(ready.json()).toEqual({ status: 'not_ready', broker: 'away', redis: 'n/a' })
  expect((await send(gateway, { target: '/health' })).json()).toEqual({ status: 'ok' })
})

test('[R6] what is in flight when the Gateway closes is answered, and nothing new is taken', async () => {
  await using broker = await startScriptedBroker()
  await using gateway = await startGateway(broker)
  const asked = Promise.withResolvers<void>()
  const release = Promise.withResolvers<void>()
  broker.answer(`GET /connections/${id}/token`, async (response) => {
    asked.resolve()
    await release.promise
    response.setHeader('content-type', 'application/json').end(JSON.stringify(payloadBody))
  })

  const inFlight = send(gateway, token)
  await asked.promise
  const closed = gateway.app.close()
  const late = await send(gateway, token).then(
    ({ status }) => status,
    () => 'refused',
  )
  release.resolve()

  expect([503, 'refused']).toContain(late)
  expect((await inFlight).status).toBe(200)
  await closed
})
