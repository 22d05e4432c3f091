import { inspect } from 'node:util'
import { describe, expect, test } from 'vitest'
import {
  createTestClient,
  createTestTiming,
  errorBody,
  id,
  metadataBody,
  providerId,
  oauthBody,
  requestedBody,
  startScriptedNexus,
  staticBody,
} from '../test/scripted-nexus.ts'
import { createNexusClient } from './create-nexus-client.ts'

const headerOf = (request: { headers: readonly (readonly [string, string])[] } | undefined, name: string) =>
  request?.headers.find(([candidate]) => candidate.toLowerCase() === name)?.[1]

test('requestConnection sends what was given by the names of the wire, with a key that makes it repeatable', async () => {
  await using nexus = await startScriptedNexus()
  nexus.answer('/v1/request-connection', { body: requestedBody })
  const client = createNexusClient({ baseUrl: nexus.url, token: 'agent-token', headers: { 'x-proxy': 'yes' } })

  const requested = await client.requestConnection({
    userId: 'u-1',
    providerName: 'acme',
    scopes: ['read'],
    returnUrl: 'https://app.example.com/done',
    metadata: { order_id: 7 },
    zone: 'eu',
    confirm: true,
    completion: 'app',
  })

  expect(requested).toEqual({
    authUrl: requestedBody.authUrl,
    connectionId: id,
    state: 'state.signature',
    scopes: ['read'],
    providerId: requestedBody.provider_id,
    expiresAt: requestedBody.expires_at,
  })
  const [request] = nexus.requests
  expect(request?.method).toBe('POST')
  expect(JSON.parse(String(request?.body))).toEqual({
    user_id: 'u-1',
    provider_name: 'acme',
    scopes: ['read'],
    return_url: 'https://app.example.com/done',
    metadata: { order_id: 7 },
    zone: 'eu',
    confirm: true,
    completion: 'app',
  })
  expect(headerOf(request, 'authorization')).toBe('Bearer agent-token')
  expect(headerOf(request, 'content-type')).toBe('application/json')
  expect(headerOf(request, 'x-proxy')).toBe('yes')
  expect(headerOf(request, 'user-agent')).toMatch(/^nexus-sdk\/\d/)
  expect(headerOf(request, 'idempotency-key')).toMatch(/^[0-9a-f-]{36}$/)
})

test('a repetition of requestConnection has the same key, another call another one, and a given key is taken', async () => {
  await using nexus = await startScriptedNexus()
  const away = { status: 503, body: errorBody('unavailable') }
  nexus.answer('/v1/request-connection', away, (response) => response.destroy(), { body: requestedBody })
  const client = createTestClient({ baseUrl: nexus.url })
  await client.requestConnection({ userId: 'u', providerName: 'acme' })
  await client.requestConnection({ userId: 'u', providerName: 'acme' })
  await client.requestConnection({ userId: 'u', providerId: id }, { idempotencyKey: 'order-7' })

  const [first, ...others] = nexus.requests.map((request) => headerOf(request, 'idempotency-key'))
  expect(others).toEqual([first, first, expect.any(String), 'order-7'])
  expect(others[2]).not.toBe(first)
})

test('reconnect asks for a link of the same connection', async () => {
  await using nexus = await startScriptedNexus()
  nexus.answer(`/v1/reconnect/${id}`, { body: requestedBody })
  const client = createTestClient({ baseUrl: nexus.url })
  await client.reconnect(id)
  const requested = await client.reconnect(id, { scopes: ['a'], allowAccountChange: true })
  expect(requested.connectionId).toBe(id)
  expect(nexus.requests.map(({ body }) => JSON.parse(String(body)))).toEqual([
    {},
    { scopes: ['a'], allow_account_change: true },
  ])
  expect(headerOf(nexus.requests[1], 'idempotency-key')).toBeDefined()
})

test('completeConnection shows the token of the app and is sent once, whatever happens', async () => {
  await using nexus = await startScriptedNexus()
  const away = { status: 503, headers: { 'retry-after': '1' }, body: errorBody('unavailable') }
  nexus.answer(
    '/v1/complete-connection',
    { body: { connection_id: id, status: 'active', provider: 'acme' } },
    away,
    (response) => response.destroy(),
  )
  const client = createTestClient({ baseUrl: nexus.url, token: 'sk-app' })
  const completion = { connectionId: id, completionCode: 'code', userId: 'u-1' }
  expect(await client.completeConnection(completion)).toEqual({ connectionId: id, status: 'active', provider: 'acme' })
  await expect(client.completeConnection(completion)).rejects.toMatchObject({
    code: 'unavailable',
    retryAfterSeconds: 1,
  })
  await expect(client.completeConnection(completion)).rejects.toMatchObject({ code: 'network_error' })

  expect(nexus.requests).toHaveLength(3)
  expect(headerOf(nexus.requests[0], 'authorization')).toBe('Bearer sk-app')
  expect(headerOf(nexus.requests[0], 'x-api-key')).toBeUndefined()
  expect(JSON.parse(String(nexus.requests[0]?.body))).toEqual({
    connection_id: id,
    completion_code: 'code',
    user_id: 'u-1',
  })
})

test('getToken gives an OAuth token', async () => {
  await using nexus = await startScriptedNexus()
  const body = oauthBody('at')
  nexus.answer(`/v1/token/${id}`, { body: { ...body, credentials: { ...body.credentials, extra: { realmId: '7' } } } })
  const credential = await createTestClient({ baseUrl: nexus.url }).getToken(id)
  expect(credential).toEqual({
    strategy: { type: 'oauth2' },
    provider: 'acme',
    providerId,
    credentials: { ...body.credentials, extra: { realmId: '7' } },
    accessToken: 'at',
    expiresIn: 3600,
  })
})

test('getToken gives a static credential by the names of its schema', async () => {
  await using nexus = await startScriptedNexus()
  nexus.answer(`/v1/token/${id}`, { body: staticBody('k') })
  const credential = await createTestClient({ baseUrl: nexus.url }).getToken(id)
  expect(credential.accessToken).toBeUndefined()
  expect(credential).toEqual({
    strategy: { type: 'header', config: { header_name: 'X-Key' } },
    provider: 'acme',
    providerId,
    credentials: { api_key: 'k' },
  })
})

test('checkConnection, disconnect and listProviders give their answers in camelCase', async () => {
  await using nexus = await startScriptedNexus()
  nexus.answer(`/v1/check-connection/${id}`, { body: { status: 'failed', status_reason: 'access_denied' } })
  nexus.answer(`/v1/connections/${id}`, { body: { revoked_at_provider: false, revocation: 'queued' } })
  nexus.answer('/v1/providers/metadata', { body: metadataBody('https://api.acme.example/v1') })
  const client = createTestClient({ baseUrl: nexus.url })
  expect(await client.checkConnection(id)).toEqual({ status: 'failed', statusReason: 'access_denied' })
  expect(await client.disconnect(id)).toEqual({ revokedAtProvider: false, revocation: 'queued' })
  expect(nexus.requests[1]?.method).toBe('DELETE')
  expect(await client.listProviders()).toEqual([
    {
      id: requestedBody.provider_id,
      name: 'acme',
      authType: 'oauth2',
      apiBaseUrl: 'https://api.acme.example/v1',
      userInfoEndpoint: null,
      scopes: ['read'],
      description: 'Acme',
      category: null,
    },
  ])
})

test('a base URL with a path keeps it, and an id cannot leave its place in the path', async () => {
  await using nexus = await startScriptedNexus()
  nexus.answer('/nexus/v1/check-connection/..%2F..%2Fproviders%3Fx', {
    body: { status: 'active', status_reason: null },
  })
  const client = createTestClient({ baseUrl: `${nexus.url}/nexus` })
  expect(await client.checkConnection('../../providers?x')).toMatchObject({ status: 'active' })
})

test('a token that is a function is asked before each call', async () => {
  await using nexus = await startScriptedNexus()
  nexus.answer(`/v1/check-connection/${id}`, { body: { status: 'active', status_reason: null } })
  const tokens = ['one', 'two']
  const client = createTestClient({ baseUrl: nexus.url, token: async () => tokens.shift() })
  await client.checkConnection(id)
  await client.checkConnection(id)
  await client.checkConnection(id)
  expect(nexus.requests.map((request) => headerOf(request, 'authorization'))).toEqual([
    'Bearer one',
    'Bearer two',
    undefined,
  ])
})

describe('what cannot be used is refused at once, without saying a secret', () => {
  test.each([
    [{ baseUrl: 'nexus.example.com' }, 'baseUrl is not a URL'],
    [{ baseUrl: 'ftp://nexus.example.com' }, /http/],
    [{ baseUrl: 'https://user:canary@nexus.example.com' }, 'baseUrl must not have a user or password'],
    [{ baseUrl: 'https://nexus.example.com/?x=canary' }, /neither/],
    [{ baseUrl: 'https://nexus.example.com', token: 'canary\n' }, 'token cannot be sent in a header'],
    [{ baseUrl: 'https://nexus.example.com', headers: { 'x-key': 'canary\n' } }, 'x-key cannot be sent in a header'],
  ])('%j', (options, message) => {
    expect(() => createNexusClient(options)).toThrow(message)
    expect(() => createNexusClient(options)).not.toThrow(/canary/)
  })

  test('a token that a function gives', async () => {
    const client = createNexusClient({ baseUrl: 'https://nexus.example.com', token: () => 'canary\n' })
    await expect(client.listProviders()).rejects.toThrow(new TypeError('token cannot be sent in a header'))
  })
})

test('nothing that is printed of a client, or of its authorized fetch, shows a secret', async () => {
  await using nexus = await startScriptedNexus()
  nexus.answer(`/v1/token/${id}`, { body: oauthBody('canary-at') })
  nexus.answer('/elsewhere', { body: {} })
  const client = createTestClient(
    { baseUrl: nexus.url, token: 'canary-token', headers: { 'x-proxy': 'canary-header' } },
    createTestTiming(),
  )
  const authorized = client.createAuthorizedFetch(id, { allowedOrigins: [nexus.url] })
  const response = await authorized(`${nexus.url}/elsewhere`)
  expect(headerOf(nexus.requests.at(-1), 'authorization')).toBe('Bearer canary-at')
  for (const thing of [client, authorized, response]) {
    const shown = [
      inspect(thing, { depth: null, showHidden: true, getters: true }),
      JSON.stringify(thing) ?? '',
      // what nobody should print is printed here on purpose
      // oxlint-disable-next-line typescript/no-base-to-string
      String(thing),
    ]
    expect(shown.join()).not.toContain('canary')
  }
})
