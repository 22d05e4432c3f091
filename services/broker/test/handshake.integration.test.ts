import { createBrowser, startDemoProvider } from '@nexus/testing'
import { expect } from 'vitest'
import { openProvider, staticEndpoints, test } from './handshake-scene.ts'
import { clientSecret, isApp, readToken, registerProfile, requestConnection } from './harness.ts'

test('an account is connected at a certified OpenID provider and its token fetched', async ({ broker }) => {
  await using demo = await startDemoProvider()
  const { redirectUri } = await registerProfile(broker, {
    name: 'demo',
    issuer: demo.issuer,
    client_id: 'nexus',
    client_secret: 'demo-secret-demo-secret',
    scopes: ['openid', 'email', 'offline_access', 'read'],
  })
  await demo.addClient({
    client_id: 'nexus',
    client_secret: 'demo-secret-demo-secret',
    redirect_uris: [redirectUri],
  })

  const { authUrl, connection_id } = await requestConnection(broker, { provider_name: 'demo' })
  expect((await readToken(broker, connection_id)).body).toMatchObject({
    code: 'connection_not_active',
    details: { status: 'pending' },
  })

  const page = await createBrowser({ person: { name: 'ada' } }).open(authUrl, { stopAt: isApp })
  expect(Object.fromEntries(page.url.searchParams)).toEqual({
    from: 'app',
    status: 'success',
    connection_id,
    provider: 'demo',
  })

  const connection = await broker.get(`/connections/${connection_id}`)
  expect(connection.body).toMatchObject({
    status: 'active',
    account: { issuer: demo.issuer, subject: 'ada', label: 'ada@demo.test' },
  })
  const token = await readToken(broker, connection_id)
  expect(token.status).toBe(200)
  expect(token.body).toMatchObject({ strategy: { type: 'oauth2' }, token_type: 'Bearer', provider: 'demo' })
  expect(token.text).not.toContain('refresh')
})

const clients = [
  ['discovery and openid', {}, 'client_secret_post'],
  ['discovery, secret in the header', { auth_header: 'client_secret_basic' }, 'client_secret_basic'],
  ['endpoints of its own, without openid', staticEndpoints, 'client_secret_post'],
  [
    'endpoints of its own, secret in the header',
    (issuer: string) => ({ ...staticEndpoints(issuer), auth_header: 'client_secret_basic' }),
    'client_secret_basic',
  ],
  [
    'endpoints of its own, with openid',
    (issuer: string) => ({ ...staticEndpoints(issuer), issuer, jwks_uri: `${issuer}/jwks`, scopes: ['openid'] }),
    'client_secret_post',
  ],
  ['a public client', { client_secret: undefined, auth_header: 'none' }, 'none'],
  [
    'a public client with endpoints of its own',
    (issuer: string) => ({ ...staticEndpoints(issuer), client_secret: undefined, auth_header: 'none' }),
    'none',
  ],
] as const

test.for(clients)('[H5] the whole way: %s', async ([, profile, method], { broker }) => {
  const provider = await openProvider(broker, { profile, client: { authMethods: [method] } })
  const { authUrl, connection_id } = await requestConnection(broker, { provider_name: provider.name })
  const page = await createBrowser().open(authUrl, { stopAt: isApp })

  expect(Object.fromEntries(page.url.searchParams)).toEqual({
    from: 'app',
    status: 'success',
    connection_id,
    provider: provider.name,
  })
  const { status, body } = await readToken(broker, connection_id)
  expect(status).toBe(200)
  expect(provider.secrets()).toContain(body.access_token)

  // the provider refuses a code without the S256 challenge and its verifier, and notes every other breach
  expect(provider.violations).toEqual([])
  const [sent] = provider.requestsTo('token')
  expect(sent?.form.get('code_verifier')).toMatch(/^[\w-]{43}$/)
  expect(JSON.stringify([sent?.headers.authorization ?? '', sent?.body]).includes(clientSecret)).toBe(
    method === 'client_secret_post',
  )
})

test('[H5] without PKCE only where the profile says so', async ({ broker }) => {
  const provider = await openProvider(broker, { provider: { pkce: 'optional' }, profile: { pkce: 'disabled' } })
  const { authUrl, connection_id } = await requestConnection(broker, { provider_name: provider.name })
  await createBrowser().open(authUrl, { stopAt: isApp })
  expect((await readToken(broker, connection_id)).status).toBe(200)
  expect(provider.requestsTo('authorize')[0]?.query.has('code_challenge')).toBe(false)
  expect(provider.requestsTo('token')[0]?.form.has('code_verifier')).toBe(false)
})

test('without a return_url the person ends on a page that says all is done', async ({ broker }) => {
  const provider = await openProvider(broker)
  const { authUrl, connection_id } = await requestConnection(broker, {
    provider_name: provider.name,
    return_url: undefined,
  })
  const page = await createBrowser().open(authUrl)
  expect(page.status).toBe(200)
  expect(page.body).toContain('All done')
  expect((await readToken(broker, connection_id)).status).toBe(200)
})
