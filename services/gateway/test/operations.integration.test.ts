import { randomBytes } from 'node:crypto'
import { expect, test } from 'vitest'
import { makeAgentToken } from './agents.ts'
import { makeState, send, sendJson, startGateway } from './harness.ts'
import { connectionBody, id, payloadBody, requestedBody } from './bodies.ts'
import { startScriptedBroker } from './scripted-broker.ts'

test('lists providers and describes them', async () => {
  await using broker = await startScriptedBroker()
  await using gateway = await startGateway(broker)
  const google = {
    id,
    api_base_url: 'https://api.example.com',
    user_info_endpoint: null,
    scopes: ['openid'],
    description: null,
    category: 'mail',
  }
  broker.answer('GET /providers', { body: [{ id, name: 'google' }] })
  broker.answer('GET /providers/metadata', { body: { oauth2: { google } } })

  const list = await send(gateway, { target: '/v1/providers' })
  const metadata = await send(gateway, { target: '/v1/providers/metadata' })

  expect(list).toMatchObject({ status: 200, headers: { 'content-type': 'application/json; charset=utf-8' } })
  expect(list.json()).toEqual([{ id, name: 'google' }])
  expect(metadata.json()).toEqual({ oauth2: { google } })
})

test('request-connection asks for the workspace of the user, under the same idempotency key', async () => {
  await using broker = await startScriptedBroker()
  await using gateway = await startGateway(broker)
  const requested = requestedBody(makeState(gateway, { purpose: 'request', connectionId: id }))
  broker.answer('POST /auth/consent-spec', { body: { ...requested, added_later: 1 } })

  const answer = await send(gateway, {
    method: 'POST',
    target: '/v1/request-connection',
    headers: { 'content-type': 'application/json', 'idempotency-key': 'one-more-time' },
    body: JSON.stringify({
      user_id: 'u-1',
      provider_name: 'google',
      scopes: ['openid'],
      return_url: 'https://app.example.com/done',
      metadata: { team: 'a' },
    }),
  })

  expect(answer).toMatchObject({ status: 200, headers: { 'cache-control': 'no-store' } })
  expect(answer.json()).toEqual(requested)
  expect(broker.requests).toHaveLength(1)
  expect(broker.requests[0]).toMatchObject({ headers: { 'idempotency-key': 'one-more-time' } })
  expect(JSON.parse(broker.requests[0]?.body ?? '')).toEqual({
    workspace_id: 'u-1',
    provider_name: 'google',
    scopes: ['openid'],
    return_url: 'https://app.example.com/done',
    metadata: { team: 'a' },
  })
})

test.each([
  ['signed with another key', { brokerStateKey: randomBytes(32) }, {}, 'same STATE_KEY'],
  ['of another connection', {}, { connectionId: '0198a1b2-0000-7000-8000-00000000000f' }, 'another connection'],
  ['made for a provider', {}, { purpose: 'oauth' }, 'not one for a request'],
] as const)('[H1] a state %s is never handed to an agent', async (_what, options, claims, advice) => {
  await using broker = await startScriptedBroker()
  await using gateway = await startGateway(broker, options)
  const state = makeState(gateway, { purpose: 'request', connectionId: id, ...claims })
  broker.answer('POST /auth/consent-spec', { body: requestedBody(state) })

  const answer = await sendJson(gateway, '/v1/request-connection', { user_id: 'u-1', provider_name: 'google' })

  expect(answer.status).toBe(500)
  expect(answer.json()).toMatchObject({ code: 'state_key_mismatch' })
  expect(answer.text).not.toContain(state)
  expect(gateway.logs.text()).toContain(advice)
  expect(gateway.logs.text()).not.toContain(state)
})

test('reconnect asks for a new link of the very connection, under the same idempotency key', async () => {
  await using broker = await startScriptedBroker()
  await using gateway = await startGateway(broker)
  const requested = requestedBody(makeState(gateway, { purpose: 'request', connectionId: id }))
  broker.answer(`POST /connections/${id}/reconnect`, { body: { ...requested, added_later: 1 } })
  const wanted = {
    scopes: ['openid'],
    return_url: 'https://app.example.com/done',
    metadata: { team: 'a' },
    allow_account_change: true,
  }

  const answer = await send(gateway, {
    method: 'POST',
    target: `/v1/reconnect/${id}`,
    headers: { 'content-type': 'application/json', 'idempotency-key': 'one-more-time' },
    body: JSON.stringify(wanted),
  })

  expect(answer).toMatchObject({ status: 200, headers: { 'cache-control': 'no-store' } })
  expect(answer.json()).toEqual(requested)
  expect(broker.requests).toHaveLength(1)
  expect(broker.requests[0]).toMatchObject({ headers: { 'idempotency-key': 'one-more-time' } })
  expect(JSON.parse(broker.requests[0]?.body ?? '')).toEqual(wanted)
})

const otherId = '0198a1b2-0000-7000-8000-00000000000f'

test.each([
  ['signed with another key', { brokerStateKey: randomBytes(32) }, { purpose: 'request', connectionId: id }, id, 500],
  ['of another connection', {}, { purpose: 'request', connectionId: otherId }, id, 500],
  ['made for a provider', {}, { purpose: 'oauth', connectionId: id }, id, 500],
  ['in an answer about another connection', {}, { purpose: 'request', connectionId: otherId }, otherId, 502],
] as const)('[H1] a link to reconnect, with a state %s, is never handed to an agent', async (...given) => {
  const [_what, options, claims, connection_id, status] = given
  await using broker = await startScriptedBroker()
  await using gateway = await startGateway(broker, options)
  const state = makeState(gateway, claims)
  broker.answer(`POST /connections/${id}/reconnect`, { body: { ...requestedBody(state), connection_id } })

  const answer = await sendJson(gateway, `/v1/reconnect/${id}`, {})

  expect(answer.status).toBe(status)
  for (const secret of [state, 'ticket-canary']) {
    expect(answer.text).not.toContain(secret)
    expect(gateway.logs.text()).not.toContain(secret)
  }
})

test('a reconnect that the Broker refuses is refused with its code and details', async () => {
  await using broker = await startScriptedBroker()
  await using gateway = await startGateway(broker)
  const error = { code: 'connection_not_active', message: 'The connection is revoked.', details: { status: 'revoked' } }
  broker.answer(`POST /connections/${id}/reconnect`, { status: 409, body: error })

  const answer = await sendJson(gateway, `/v1/reconnect/${id}`, {})

  expect(answer.status).toBe(409)
  expect(answer.json()).toMatchObject(error)
})

test('check-connection tells the status and nothing else', async () => {
  await using broker = await startScriptedBroker()
  await using gateway = await startGateway(broker)
  broker.answer(`GET /connections/${id}`, { body: connectionBody })

  const answer = await send(gateway, { target: `/v1/check-connection/${id}` })

  expect(answer.json()).toEqual({ status: 'active', status_reason: null })
})

test('reads a connection, and lists those of a user by every filter', async () => {
  await using broker = await startScriptedBroker()
  await using gateway = await startGateway(broker)
  broker.answer(`GET /connections/${id}`, { body: connectionBody })
  broker.answer('GET /connections', { body: { connections: [connectionBody], next_cursor: 'c2' } })

  const one = await send(gateway, { target: `/v1/connections/${id}` })
  const query = 'user_id=u%2F1%261&provider=google&status=active&zone=root&cursor=c1&limit=7'
  const list = await send(gateway, { target: `/v1/connections?${query}` })

  expect(one.json()).toEqual(connectionBody)
  expect(list.json()).toEqual({ connections: [connectionBody], next_cursor: 'c2' })
  const asked = new URL(broker.requests[1]?.target ?? '', broker.url)
  expect(Object.fromEntries(asked.searchParams)).toEqual({
    workspace_id: 'u/1&1',
    provider: 'google',
    status: 'active',
    zone: 'root',
    cursor: 'c1',
    limit: '7',
  })
})

test('fetches and refreshes a credential, and nobody may keep the answer', async () => {
  await using broker = await startScriptedBroker()
  await using gateway = await startGateway(broker)
  broker.answer(`GET /connections/${id}/token`, { body: payloadBody })
  broker.answer(`POST /connections/${id}/refresh`, { body: payloadBody })

  const fetched = await send(gateway, { target: `/v1/token/${id}` })
  const refreshed = await send(gateway, { method: 'POST', target: `/v1/refresh/${id}` })

  for (const answer of [fetched, refreshed]) {
    expect(answer).toMatchObject({ status: 200, headers: { 'cache-control': 'no-store' } })
    expect(answer.json()).toEqual(payloadBody)
  }
})

test('disconnects, and tells what became of the grant at the provider', async () => {
  await using broker = await startScriptedBroker()
  await using gateway = await startGateway(broker)
  const told = { revoked_at_provider: false, revocation: 'queued' }
  broker.answer(`DELETE /connections/${id}`, { body: { ...told, added_later: 1 } })

  const answer = await send(gateway, { method: 'DELETE', target: `/v1/connections/${id}` })

  expect(answer.status).toBe(200)
  expect(answer.json()).toEqual(told)
  expect(broker.requests).toHaveLength(1)
  expect(broker.requests[0]).toMatchObject({ headers: { 'x-api-key': gateway.apiKey }, body: '' })
})

test('the Broker learns who called by our key, the one agent token, and nothing else of the request', async () => {
  await using broker = await startScriptedBroker()
  await using gateway = await startGateway(broker, {
    env: { TRUSTED_PROXIES: '127.0.0.1', ALLOWED_HOSTS: '127.0.0.1' },
  })
  const token = makeAgentToken()
  broker.answer('GET /providers', { body: [] })

  const answer = await send(gateway, {
    target: '/v1/providers',
    headers: {
      authorization: 'Bearer agentcanary',
      'x-nexus-api-key': token,
      'x-nexus-zone-id': 'eng',
      'x-nexus-identity': 'agentcanary',
      'x-api-key': 'agentcanary',
      cookie: 'session=agentcanary',
      'user-agent': 'my-agent/2 (caf\xe9)',
      'x-forwarded-for': '203.0.113.9',
      'x-request-id': 'req-12345678',
    },
  })

  expect(answer).toMatchObject({ status: 200, headers: { 'x-request-id': 'req-12345678' } })
  expect(broker.requests[0]?.headers).toEqual({
    host: `127.0.0.1:${broker.port}`,
    connection: 'keep-alive',
    accept: 'application/json',
    'x-api-key': gateway.apiKey,
    authorization: `Bearer ${token}`,
    'x-nexus-zone-id': 'eng',
    'x-request-id': 'req-12345678',
    'x-forwarded-for': '203.0.113.9',
    'user-agent': 'my-agent/2 (caf\xe9)',
  })
})

const faultyRequests: readonly [string, Parameters<typeof send>[1], string][] = [
  ['an id that is none', { target: '/v1/token/42' }, 'id'],
  ['a path in the id', { target: '/v1/token/..%2f..%2fproviders' }, 'id'],
  ['an unknown parameter', { target: '/v1/providers?all=1' }, 'all'],
  ['a repeated parameter', { target: '/v1/connections?user_id=a&user_id=b' }, 'user_id'],
  ['a limit out of range', { target: '/v1/connections?limit=201' }, 'limit'],
  ['an unknown status', { target: '/v1/connections?status=gone' }, 'status'],
  [
    'an idempotency key with a space',
    asJson({ user_id: 'u', provider_name: 'p' }, { 'idempotency-key': 'a b' }),
    'idempotency-key',
  ],
  ['no body', asJson(''), 'body'],
  ['a body that is no JSON', asJson('{'), ''],
  ['an unknown field', asJson({ user_id: 'u', provider_name: 'p', workspace_id: 'w' }), 'workspace_id'],
  ['a missing field', asJson({ provider_name: 'p' }), 'user_id'],
  ['a wrong type', asJson({ user_id: 7, provider_name: 'p' }), 'user_id'],
  ['two providers', asJson({ user_id: 'u', provider_name: 'p', provider_id: id }), 'provider_name'],
  ['__proto__', asJson('{"user_id":"u","provider_name":"p","metadata":{"__proto__":{"a":1}}}'), ''],
  ['an account change that is no boolean', asJson({ allow_account_change: 'yes' }, {}, id), 'allow_account_change'],
  ['a reconnect at another provider', asJson({ provider_name: 'p' }, {}, id), 'provider_name'],
  ['a reconnect of what is no id', asJson({}, {}, '42'), 'id'],
  ['nesting beyond reason', asJson(`${'['.repeat(40)}${']'.repeat(40)}`), ''],
]

function asJson(body: unknown, headers: Record<string, string> = {}, reconnected?: string): Parameters<typeof send>[1] {
  return {
    method: 'POST',
    target: reconnected === undefined ? '/v1/request-connection' : `/v1/reconnect/${reconnected}`,
    headers: { 'content-type': 'application/json', ...headers },
    body: typeof body === 'string' ? body : JSON.stringify(body),
  }
}

test('[C5] what is malformed is refused, the field named, and the Broker never asked', async () => {
  await using broker = await startScriptedBroker()
  await using gateway = await startGateway(broker)

  for (const [what, request, field] of faultyRequests) {
    const answer = await send(gateway, request)
    expect(answer.status, what).toBe(400)
    expect(answer.json(), what).toMatchObject({ code: 'invalid_request', message: expect.stringContaining(field) })
  }
  expect(broker.requests).toEqual([])
})

test('[C5] bodies beyond 64 KiB are 413, other types 415, unknown routes and methods 404', async () => {
  await using broker = await startScriptedBroker()
  await using gateway = await startGateway(broker)
  const target = '/v1/request-connection'
  const tooLarge = asJson({ user_id: 'u', provider_name: 'p', metadata: { a: 'a'.repeat(65_536) } })

  // also where the contract sets no limit of its own
  for (const to of [target, '/v1/hub/tokens', '/v1/complete-connection']) {
    expect((await send(gateway, { ...tooLarge, target: to })).json(), to).toMatchObject({ code: 'body_too_large' })
  }
  const form = { method: 'POST', target, headers: { 'content-type': 'text/plain' }, body: 'x' }
  expect((await send(gateway, form)).json()).toMatchObject({ code: 'unsupported_media_type' })
  for (const method of ['HEAD', 'OPTIONS', 'PUT']) {
    expect((await send(gateway, { method, target: `/v1/connections/${id}` })).status, method).toBe(404)
  }
  expect(broker.requests).toEqual([])
})
