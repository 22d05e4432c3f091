// @nexus/sdk as an agent uses it: against a whole installation, and APIs that check what arrives.
import { createNexusClient, type NexusClient } from '@nexus/sdk'
import { type Credential, createBrowser, startApiServer, startScriptedProvider } from '@nexus/testing'
import { describe, expect } from 'vitest'
import { connectByForm } from './connect-by-form.ts'
import { appUrl, clientId, clientSecret, isApp, type startNexus, test as base } from './nexus.ts'

const test = base.extend('client', { scope: 'file' }, ({ nexus }) => createNexusClient({ baseUrl: nexus.gateway.url }))

type Nexus = Awaited<ReturnType<typeof startNexus>>

const fromUser = { userId: 'user-1', returnUrl: appUrl }

type StaticCase = {
  readonly name: string
  readonly profile: Readonly<Record<string, unknown>>
  readonly credentials: Readonly<Record<string, string>>
  readonly accepted: Credential
}

const awsKeys = { access_key: 'AKIAIOSFODNN7EXAMPLE', secret_key: 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY' }
const awsAccepted = { kind: 'aws', accessKey: awsKeys.access_key, secretKey: awsKeys.secret_key } as const

const cases: readonly StaticCase[] = [
  {
    name: 'api-key',
    profile: { auth_type: 'api_key', params: { value_prefix: 'Bearer ' } },
    credentials: { api_key: 'sk_live_1' },
    accepted: { kind: 'header', name: 'authorization', value: 'Bearer sk_live_1' },
  },
  {
    name: 'header',
    profile: { auth_type: 'header', params: { header_name: 'X-Token' } },
    credentials: { api_key: 'k2' },
    accepted: { kind: 'header', name: 'x-token', value: 'k2' },
  },
  {
    name: 'query-param',
    profile: { auth_type: 'query_param', params: { param_name: 'key' } },
    credentials: { api_key: 'k3 &=+é' },
    accepted: { kind: 'query', name: 'key', value: 'k3 &=+é' },
  },
  {
    name: 'basic-auth',
    profile: { auth_type: 'basic_auth' },
    credentials: { username: 'jürgen', password: 'pä:ss' },
    accepted: { kind: 'basic', username: 'jürgen', password: 'pä:ss' },
  },
  {
    name: 'hmac-payload',
    profile: {
      auth_type: 'hmac_payload',
      params: { header_name: 'X-Signature', algorithm: 'sha512', encoding: 'base64' },
    },
    credentials: { secret: 'shared' },
    accepted: { kind: 'hmac', header: 'x-signature', secret: 'shared', algorithm: 'sha512', encoding: 'base64' },
  },
  {
    name: 'aws-sigv4',
    profile: { auth_type: 'aws_sigv4', params: { service: 's3', region: 'eu-central-1' } },
    credentials: { ...awsKeys, session_token: 'IQoJb3JpZ2luX2Vj' },
    accepted: { ...awsAccepted, sessionToken: 'IQoJb3JpZ2luX2Vj', service: 's3', region: 'eu-central-1' },
  },
  {
    name: 'aws-without-session',
    profile: { auth_type: 'aws_sigv4', params: { service: 'execute-api' } },
    credentials: awsKeys,
    accepted: { ...awsAccepted, service: 'execute-api', region: 'us-east-1' },
  },
]

test.for(cases)(
  'a credential that is typed in is used: $name',
  async ({ name, profile, credentials, accepted }, { nexus, client }) => {
    await using api = await startApiServer(accepted)
    // Nexus tries them there with the same code; the API says what it thinks of that too
    const tried = { api_base_url: api.url, user_info_endpoint: `${api.url}/me`, verify: 'required' }
    await nexus.registerProfile({ name, ...tried, ...profile })
    const { state, connectionId } = await client.requestConnection({ ...fromUser, providerName: name })
    const captured = await nexus.call('/v1/capture-credential', { state, credentials })
    expect(captured).toMatchObject({ status: 200, body: { status: 'success' } })
    expect(await client.waitForActive(connectionId)).toMatchObject({ status: 'active' })

    const authorized = client.createAuthorizedFetch(connectionId)
    const answers = [
      await authorized(`${api.url}/a path/x?q=a+b`),
      await authorized(`${api.url}/things`, { method: 'POST', body: '{"name": "Zoë"}' }),
    ]
    expect(api.requests.map(({ method, fault }) => [method, fault])).toEqual([
      ['GET', undefined],
      ['GET', undefined],
      ['POST', undefined],
    ])
    expect(answers.map(({ status }) => status)).toEqual([200, 200])
    expect(await answers[1]?.json()).toMatchObject({ method: 'POST', body: '{"name": "Zoë"}' })

    await expect(client.refresh(connectionId)).rejects.toMatchObject({ code: 'static_credential' })
    await client.disconnect(connectionId)
    const later = client.createAuthorizedFetch(connectionId)
    await expect(later(api.url)).rejects.toMatchObject({
      code: 'connection_not_active',
      details: { status: 'revoked' },
    })
    expect(api.requests).toHaveLength(3)
  },
)

/** A connection at a provider of its own, and what a browser needs to connect it again. */
async function connectOAuth(nexus: Nexus, client: NexusClient, name: string, apiBaseUrl: string) {
  const provider = await startScriptedProvider()
  const { redirect_uri } = await nexus.registerProfile({
    name,
    issuer: provider.issuer,
    client_id: clientId,
    client_secret: clientSecret,
    scopes: ['openid', 'read'],
    api_base_url: apiBaseUrl,
  })
  provider.addClient({ clientId, clientSecret, redirectUris: [redirect_uri] })
  const requested = await client.requestConnection({ ...fromUser, providerName: name, metadata: { order_id: 7 } })
  const waiting = client.waitForActive(requested.connectionId)
  await createBrowser().open(requested.authUrl, { stopAt: isApp })
  await waiting
  return {
    provider,
    connectionId: requested.connectionId,
    [Symbol.asyncDispose]: () => provider[Symbol.asyncDispose](),
  }
}

describe('OAuth', () => {
  test('a token is used, refreshed when the API refuses it, and gone when the account is disconnected', async ({
    nexus,
    client,
  }) => {
    await using api = await startApiServer()
    await using connected = await connectOAuth(nexus, client, 'sdk-oauth', api.url)
    const { provider, connectionId } = connected
    const { accessToken } = await client.getToken(connectionId)
    api.accept({ kind: 'header', name: 'authorization', value: `Bearer ${accessToken}` })
    const authorized = client.createAuthorizedFetch(connectionId)
    expect((await authorized(`${api.url}/me`)).status).toBe(200)

    // the API has lost faith in this token, and in no other
    api.handle('/me', ({ fault }, response) => void response.writeHead(fault === undefined ? 401 : 200).end())
    expect(
      (await Promise.all([authorized(`${api.url}/me`), authorized(`${api.url}/me`)])).map(({ status }) => status),
    ).toEqual([200, 200])
    expect(provider.counts().supersededPresentations).toBe(0)
    expect((await client.getToken(connectionId)).accessToken).not.toBe(accessToken)

    expect(await client.disconnect(connectionId)).toEqual({ revokedAtProvider: true, revocation: 'done' })
    expect(await client.checkConnection(connectionId)).toMatchObject({ status: 'revoked' })
    await expect(client.getToken(connectionId)).rejects.toMatchObject({ code: 'connection_not_active', status: 409 })
    await expect(client.waitForActive(connectionId)).rejects.toMatchObject({ code: 'connection_revoked' })
    expect(provider.violations).toEqual([])
  })

  test('a person connects again, and the connection keeps its id', async ({ nexus, client }) => {
    await using connected = await connectOAuth(nexus, client, 'sdk-reconnect', 'http://127.0.0.1:1')
    const { connectionId } = connected
    const before = await client.getToken(connectionId)
    const again = await client.reconnect(connectionId, { returnUrl: appUrl })
    expect(again.connectionId).toBe(connectionId)
    await createBrowser().open(again.authUrl, { stopAt: isApp })
    expect((await client.waitForActive(connectionId)).status).toBe('active')
    expect((await client.getToken(connectionId)).accessToken).not.toBe(before.accessToken)
  })

  test('a person who declines ends the waiting, with the reason', async ({ nexus, client }) => {
    await using provider = await startScriptedProvider({ behaviour: { authorization: { error: 'access_denied' } } })
    const { redirect_uri } = await nexus.registerProfile({
      name: 'sdk-declined',
      issuer: provider.issuer,
      client_id: clientId,
      client_secret: clientSecret,
      scopes: ['openid'],
    })
    provider.addClient({ clientId, clientSecret, redirectUris: [redirect_uri] })
    const { authUrl, connectionId } = await client.requestConnection({ ...fromUser, providerName: 'sdk-declined' })
    await createBrowser().open(authUrl, { stopAt: isApp })
    await expect(client.waitForActive(connectionId)).rejects.toMatchObject({
      code: 'connection_failed',
      details: { status: 'failed', statusReason: 'access_denied' },
    })
  })
})

describe("completion: 'app'", () => {
  test('the server of the app says who came back, and the connection is active', async ({ nexus, client }) => {
    await nexus.registerProfile({ name: 'sdk-completed', auth_type: 'api_key' })
    const { connectionId, code } = await bringBack(client, 'sdk-completed')
    expect(await client.checkConnection(connectionId)).toMatchObject({ status: 'pending' })
    const completion = { connectionId, completionCode: code, userId: fromUser.userId }
    const server = createNexusClient({ baseUrl: nexus.gateway.url, token: nexus.appToken })
    const completed = await server.completeConnection(completion)
    expect(completed).toEqual({ connectionId, status: 'active', provider: 'sdk-completed' })
    expect(await client.getToken(connectionId)).toMatchObject({ credentials: { api_key: 'k' } })
  })

  test('somebody else came back: it is refused, and nothing is connected', async ({ nexus, client }) => {
    await nexus.registerProfile({ name: 'sdk-fixated', auth_type: 'api_key' })
    const { connectionId, code } = await bringBack(client, 'sdk-fixated')
    const completion = { connectionId, completionCode: code, userId: 'user-2' }
    await expect(client.completeConnection(completion), 'an agent').rejects.toMatchObject({
      code: 'insufficient_permission',
    })
    const server = createNexusClient({ baseUrl: nexus.gateway.url, token: nexus.appToken })
    await expect(server.completeConnection(completion)).rejects.toMatchObject({ code: 'completion_refused' })
    await expect(client.waitForActive(connectionId)).rejects.toMatchObject({ code: 'connection_failed' })
  })
})

/** A person types a key in and comes back to the app, with the code that its server is to show. */
async function bringBack(client: NexusClient, providerName: string) {
  const requested = await client.requestConnection({ ...fromUser, providerName, completion: 'app' })
  const arrived = await connectByForm(requested.authUrl, { api_key: 'k' })
  expect(arrived.searchParams.get('status')).toBe('completion_required')
  return { connectionId: requested.connectionId, code: arrived.searchParams.get('completion_code') ?? '' }
}

test('one key of the caller gives one connection, and another request under it is refused', async ({
  nexus,
  client,
}) => {
  await nexus.registerProfile({ name: 'sdk-idempotent', auth_type: 'api_key' })
  const request = { ...fromUser, providerName: 'sdk-idempotent' }
  const first = await client.requestConnection(request, { idempotencyKey: 'order-7' })
  const second = await client.requestConnection(request, { idempotencyKey: 'order-7' })
  expect(second.connectionId).toBe(first.connectionId)
  const other = client.requestConnection({ ...request, userId: 'user-2' }, { idempotencyKey: 'order-7' })
  await expect(other).rejects.toMatchObject({ code: 'idempotency_mismatch', status: 422 })
})

test('providers are listed as an agent needs them, and faults have the codes of the contract', async ({
  nexus,
  client,
}) => {
  await nexus.registerProfile({
    name: 'sdk-listed',
    auth_type: 'basic_auth',
    description: 'A list',
    api_base_url: 'https://api.example.com/v1',
  })
  const providers = await client.listProviders()
  expect(providers.find(({ name }) => name === 'sdk-listed')).toMatchObject({
    authType: 'basic_auth',
    apiBaseUrl: 'https://api.example.com/v1',
    description: 'A list',
  })
  const unknown = client.requestConnection({ ...fromUser, providerName: 'nobody' })
  await expect(unknown).rejects.toMatchObject({
    code: 'provider_not_found',
    status: 404,
    requestId: expect.any(String),
  })
})
