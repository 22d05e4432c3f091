import type { OAuthCredentialPayload } from '@nexus/contracts'
import { type Browser, answers, createBrowser, startDemoProvider, startScriptedProvider } from '@nexus/testing'
import { expect } from 'vitest'
import { appUrl, clientId, clientSecret, isApp, type startNexus, test } from './nexus.ts'

type Nexus = Awaited<ReturnType<typeof startNexus>>

/** Connects an account through the Gateway alone and reads its token: what a person and an agent do. */
async function connect(nexus: Nexus, browser: Browser, provider: string) {
  const { authUrl, connection_id } = await nexus.requestConnection(provider)
  expect(new URL(authUrl).origin).toBe(nexus.gateway.url)
  expect((await nexus.call(`/v1/check-connection/${connection_id}`)).body).toMatchObject({ status: 'pending' })
  const page = await browser.open(authUrl, { stopAt: isApp })
  const arrived = Object.fromEntries(page.url.searchParams)
  const status = (await nexus.call(`/v1/check-connection/${connection_id}`)).body
  return {
    connectionId: connection_id,
    arrived,
    status,
    token: await nexus.call<OAuthCredentialPayload>(`/v1/token/${connection_id}`),
  }
}

test('an agent connects an account at a certified OpenID provider and fetches, then refreshes, its token', async ({
  nexus,
}) => {
  await using demo = await startDemoProvider()
  const scopes = ['openid', 'email', 'offline_access', 'read']
  const profile = { name: 'demo', issuer: demo.issuer, client_id: clientId, client_secret: clientSecret, scopes }
  const { redirect_uri } = await nexus.registerProfile(profile)
  await demo.addClient({ client_id: clientId, client_secret: clientSecret, redirect_uris: [redirect_uri] })

  const { connectionId, arrived, status, token } = await connect(
    nexus,
    createBrowser({ person: { name: 'ada' } }),
    'demo',
  )

  expect(arrived).toEqual({ status: 'success', connection_id: connectionId, provider: 'demo' })
  expect(status).toMatchObject({ status: 'active' })
  expect(token.status).toBe(200)
  expect(token.body).toMatchObject({ strategy: { type: 'oauth2' }, token_type: 'Bearer', provider: 'demo' })
  expect(JSON.stringify(token.body)).not.toMatch(/refresh_token|id_token/)
  const userInfo = await fetch(`${demo.issuer}/me`, { headers: { authorization: `Bearer ${token.body.access_token}` } })
  expect(await userInfo.json()).toMatchObject({ sub: 'ada' })

  const refreshed = await nexus.call<OAuthCredentialPayload>(`/v1/refresh/${connectionId}`, {})
  expect(refreshed.status).toBe(200)
  expect(refreshed.body.access_token).not.toBe(token.body.access_token)
  expect((await nexus.call<OAuthCredentialPayload>(`/v1/token/${connectionId}`)).body.access_token).toBe(
    refreshed.body.access_token,
  )
})

test('a person who declines is brought back with access_denied, and the agent sees a failed connection', async ({
  nexus,
}) => {
  await using demo = await startDemoProvider()
  const profile = {
    name: 'declined',
    issuer: demo.issuer,
    client_id: clientId,
    client_secret: clientSecret,
    scopes: ['openid'],
  }
  const { redirect_uri } = await nexus.registerProfile(profile)
  await demo.addClient({ client_id: clientId, client_secret: clientSecret, redirect_uris: [redirect_uri] })

  const browser = createBrowser({ person: { name: 'ada', decision: 'cancel' } })
  const { connectionId, arrived, status, token } = await connect(nexus, browser, 'declined')

  expect(arrived).toMatchObject({ status: 'error', error: 'access_denied', connection_id: connectionId })
  expect(status).toMatchObject({ status: 'failed', status_reason: 'access_denied' })
  expect(token).toMatchObject({ status: 409, body: { code: 'connection_not_active', details: { status: 'failed' } } })
})

type Variation = {
  readonly what: string
  readonly provider?: Parameters<typeof startScriptedProvider>[0]
  readonly authMethods?: readonly ('client_secret_basic' | 'client_secret_post' | 'none')[]
  /** Instead of discovery and openid. */
  readonly profile?: (issuer: string) => Readonly<Record<string, unknown>>
}

const staticEndpoints = (issuer: string) => ({
  auth_url: `${issuer}/authorize`,
  token_url: `${issuer}/token`,
  revocation_url: `${issuer}/revoke`,
  issuer: undefined,
  scopes: ['read'],
})

const variations: readonly Variation[] = [
  { what: 'discovery and openid' },
  { what: 'static endpoints', profile: staticEndpoints },
  {
    what: 'client_secret_basic',
    authMethods: ['client_secret_basic'],
    profile: () => ({ auth_header: 'client_secret_basic' }),
  },
  {
    what: 'rotating refresh tokens',
    provider: { behaviour: { token: { refreshTokens: 'rotate', onReuse: 'revoke-family' } } },
  },
  {
    what: 'refresh tokens that a refresh omits',
    provider: { behaviour: { token: { refreshTokens: 'omit-on-refresh' } } },
  },
  {
    what: 'form-encoded token answers',
    provider: { behaviour: { token: { format: 'form' } } },
    profile: staticEndpoints,
  },
  {
    what: 'answers by form_post',
    provider: { behaviour: { authorization: { responseMode: 'form_post' } } },
    profile: () => ({ params: { response_mode: 'form_post' } }),
  },
]

test.for(variations)(
  'the whole way with $what',
  async ({ what, provider: options, authMethods, profile }, { nexus }) => {
    await using provider = await startScriptedProvider(options)
    const name = `v-${variations.findIndex((variation) => variation.what === what)}`
    const { redirect_uri } = await nexus.registerProfile({
      name,
      issuer: provider.issuer,
      client_id: clientId,
      client_secret: clientSecret,
      scopes: ['openid', 'read'],
      ...profile?.(provider.issuer),
    })
    provider.addClient({ clientId, clientSecret, redirectUris: [redirect_uri], ...(authMethods && { authMethods }) })

    const { connectionId, arrived, token } = await connect(nexus, createBrowser(), name)
    expect(arrived).toMatchObject({ status: 'success' })
    expect(token.status).toBe(200)
    const first = await nexus.call<OAuthCredentialPayload>(`/v1/refresh/${connectionId}`, {})
    expect(first.status).toBe(200)
    expect(first.body.access_token).not.toBe(token.body.access_token)
    expect(provider.counts().supersededPresentations).toBe(0)

    const told = { revoked_at_provider: true, revocation: 'done' }
    expect(await nexus.disconnect(connectionId)).toMatchObject({ status: 200, body: told })
    expect((await nexus.call(`/v1/check-connection/${connectionId}`)).body).toMatchObject({ status: 'revoked' })
    expect((await nexus.call(`/v1/token/${connectionId}`)).status).toBe(409)
    expect(provider.violations).toEqual([])
  },
)

test('a provider that answers 200 with an error fails the connection, and says so to the app', async ({ nexus }) => {
  await using provider = await startScriptedProvider()
  const { redirect_uri } = await nexus.registerProfile({
    name: 'github-like',
    client_id: clientId,
    client_secret: clientSecret,
    ...staticEndpoints(provider.issuer),
  })
  provider.addClient({ clientId, clientSecret, redirectUris: [redirect_uri] })
  provider.next('token', answers.json({ error: 'bad_verification_code' }))

  const { arrived, status } = await connect(nexus, createBrowser(), 'github-like')
  expect(arrived).toMatchObject({ status: 'error', error: 'provider_rejected' })
  expect(status).toEqual({ status: 'failed', status_reason: 'provider_rejected' })
})

test('without return_url the person ends on a page that says all is done', async ({ nexus }) => {
  await using demo = await startDemoProvider()
  const profile = {
    name: 'no-return',
    issuer: demo.issuer,
    client_id: clientId,
    client_secret: clientSecret,
    scopes: ['openid'],
  }
  const { redirect_uri } = await nexus.registerProfile(profile)
  await demo.addClient({ client_id: clientId, client_secret: clientSecret, redirect_uris: [redirect_uri] })

  const { authUrl } = await nexus.requestConnection('no-return', { return_url: undefined })
  const page = await createBrowser({ person: { name: 'ada' } }).open(authUrl)
  expect(page.status).toBe(200)
  expect(page.url.origin).toBe(nexus.gateway.url)
  expect(page.body).toContain('connected')
  expect(appUrl).not.toContain(page.url.host)
})
