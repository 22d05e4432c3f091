import { answers, type BehaviourChange } from '@nexus/testing'
import { expect, test } from 'vitest'
import { clientSecret, openOAuthScene, redirectUri } from '../../test/oauth-scene.ts'

const clientOf = (authMethods: readonly ('client_secret_basic' | 'client_secret_post' | 'none')[]) => ({
  clients: [{ clientId: 'nexus-client', clientSecret, redirectUris: [redirectUri], authMethods }],
})

test('a whole handshake with a discovered provider breaks none of its rules', async () => {
  const { peer, client, profile, consent } = await openOAuthScene()
  expect(await client.findEndpoints(profile())).toEqual({
    issuer: peer.issuer,
    authorizationEndpoint: `${peer.issuer}/authorize`,
    tokenEndpoint: `${peer.issuer}/token`,
    jwksUri: `${peer.issuer}/jwks`,
    revocationEndpoint: `${peer.issuer}/revoke`,
    promisesIss: true,
  })
  const before = performance.now()
  const grant = await consent(profile())
  expect(grant).toMatchObject({ tokenType: 'Bearer', expiresInSeconds: 3600, scopes: ['openid', 'read'], extra: {} })
  expect(peer.secrets()).toEqual(expect.arrayContaining([grant.accessToken, grant.refreshToken, grant.idToken]))
  expect(grant.sentAtMs).toBeGreaterThan(before)
  expect(grant.sentAtMs).toBeLessThan(performance.now())
  expect(peer.violations).toEqual([])
  expect(peer.requestsTo('discovery')).toHaveLength(1)
})

test('a whole handshake with static endpoints needs no metadata', async () => {
  const { peer, client, staticProfile, consent } = await openOAuthScene()
  expect(await client.findEndpoints(staticProfile())).toMatchObject({ issuer: undefined, promisesIss: false })
  expect(await consent(staticProfile())).toMatchObject({ scopes: ['read'], idToken: undefined, account: undefined })
  expect(peer.violations).toEqual([])
  expect(peer.requestsTo('discovery')).toEqual([])
})

test.each([
  ['the profile says basic', { authHeader: 'client_secret_basic' } as const, {}, 'client_secret_basic'],
  [
    'the profile says post',
    { authHeader: 'client_secret_post' } as const,
    { token_endpoint_auth_methods_supported: ['client_secret_basic'] },
    'client_secret_post',
  ],
  ['the metadata lists both', {}, {}, 'client_secret_post'],
  [
    'the metadata lists basic',
    {},
    { token_endpoint_auth_methods_supported: ['private_key_jwt', 'client_secret_basic'] },
    'client_secret_basic',
  ],
  [
    'the metadata lists nothing (RFC 8414 §2)',
    {},
    { token_endpoint_auth_methods_supported: undefined },
    'client_secret_basic',
  ],
] as const)('client authentication when %s', async (_, change, metadata, method) => {
  const { peer, profile, consent } = await openOAuthScene(clientOf([method]))
  peer.behave({ metadata })
  await consent(profile(change))
  expect(peer.violations).toEqual([])
})

test('client authentication with static endpoints is post, unless the profile says otherwise', async () => {
  const posting = await openOAuthScene(clientOf(['client_secret_post']))
  await expect(posting.consent(posting.staticProfile())).resolves.toBeDefined()
  const basic = await openOAuthScene(clientOf(['client_secret_basic']))
  await expect(basic.consent(basic.staticProfile({ authHeader: 'client_secret_basic' }))).resolves.toBeDefined()
  expect([...posting.peer.violations, ...basic.peer.violations]).toEqual([])
})

test('a public client sends its id and nothing more', async () => {
  const { peer, profile, consent } = await openOAuthScene({
    clients: [{ clientId: 'nexus-client', redirectUris: [redirectUri] }],
  })
  await consent(profile({ hasClientSecret: false }), { clientSecret: undefined })
  await consent(profile({ authHeader: 'none' }))
  for (const { form, headers } of peer.requestsTo('token')) {
    expect(form.get('client_id')).toBe('nexus-client')
    expect([form.has('client_secret'), headers.authorization]).toEqual([false, undefined])
  }
})

test('[H5] the exchange carries the verifier and exactly the parameters that it should', async () => {
  const { peer, profile, consent } = await openOAuthScene()
  await consent(
    profile({ params: { tokenParams: { audience: 'api', code_verifier: 'forged', grant_type: 'forged' } } }),
  )
  const [request] = peer.requestsTo('token')
  const names = ['audience', 'client_id', 'client_secret', 'code', 'code_verifier', 'grant_type', 'redirect_uri']
  expect([...(request?.form.keys() ?? [])].toSorted()).toEqual(names)
  expect(request?.form.get('audience')).toBe('api')
  expect(request?.headers.accept).toBe('application/json')
  expect(peer.violations).toEqual([])
})

test('a scope goes with the code only where the profile says so', async () => {
  const { peer, profile, consent } = await openOAuthScene()
  await consent(profile({ params: { skipScopeOnExchange: false } }))
  expect(peer.requestsTo('token')[0]?.form.get('scope')).toBe('openid read')
})

test('[H5] without PKCE there is neither challenge nor verifier', async () => {
  const { peer, profile, consent } = await openOAuthScene({ pkce: 'optional' })
  const { client } = await openOAuthScene()
  const request = { redirectUri, state: 's', nonce: 'n', codeVerifier: undefined, scopes: ['openid'] }
  const url = await client.buildAuthorizationUrl(profile({ pkce: 'disabled' }), request)
  const response = await fetch(url, { redirect: 'manual' })
  const code = new URL(response.headers.get('location') ?? '').searchParams.get('code') ?? ''
  await client.exchangeCode(profile({ pkce: 'disabled' }), { ...request, clientSecret, code })
  expect(peer.violations).toEqual([])
  await expect(consent(profile(), { codeVerifier: undefined })).rejects.toMatchObject({ oauthError: 'invalid_grant' })
})

const oddities: readonly (readonly [string, BehaviourChange])[] = [
  ['form-encoded', { token: { format: 'form' } }],
  ['form-encoded unless JSON is accepted', { token: { format: 'by-accept' } }],
  ['with token_type bearer', { token: { tokenType: 'bearer' } }],
  ['without expires_in', { token: { lifetimeSeconds: null } }],
  ['with a numeric string as expires_in', { token: { extra: { expires_in: '3600' } } }],
  ['with scopes separated by commas', { token: { scope: 'openid,read' } }],
]

test.each(oddities)('[P3] an answer %s is read as what it is', async (_, behaviour) => {
  const { peer, profile, consent } = await openOAuthScene()
  peer.behave(behaviour)
  expect(await consent(profile())).toMatchObject({ scopes: ['openid', 'read'], account: { subject: 'ada' } })
})

test.each([
  [
    'an error with status 200',
    answers.oauthError('bad_verification_code', { status: 200 }),
    { kind: 'rejected', oauthError: 'bad_verification_code' },
  ],
  [
    'an error as a form with status 200',
    answers.form({ error: 'bad_verification_code' }),
    { kind: 'rejected', oauthError: 'bad_verification_code' },
  ],
  [
    'an error with a challenge',
    answers.oauthError('invalid_client', { status: 401, headers: { 'www-authenticate': 'Basic' } }),
    { kind: 'rejected', oauthError: 'invalid_client' },
  ],
  ['no access_token', answers.json({ token_type: 'bearer' }), { kind: 'invalid_answer' }],
  ['no token_type', answers.json({ access_token: 'a' }), { kind: 'invalid_answer' }],
  ['another token_type', answers.json({ access_token: 'a', token_type: 'mac' }), { kind: 'invalid_answer' }],
  [
    'nonsense for expires_in',
    answers.json({ access_token: 'a', token_type: 'bearer', expires_in: 'soon' }),
    { kind: 'invalid_answer' },
  ],
  ['junk', answers.junk(), { kind: 'invalid_answer' }],
  ['more than a megabyte', answers.oversized(2 << 20), { kind: 'invalid_answer' }],
  ['a redirect', answers.redirect('http://169.254.169.254/'), { kind: 'invalid_answer', status: 302 }],
  ['429', answers.tooManyRequests(7), { kind: 'unavailable', status: 429, retryAfterSeconds: 7 }],
  ['503', answers.serverError(503, 9), { kind: 'unavailable', status: 503, retryAfterSeconds: 9 }],
  ['half an answer', answers.cutMidway(), { kind: 'unavailable' }],
  ['no answer', answers.cutConnection(), { kind: 'unavailable' }],
])('[P3] %s from the token endpoint fails the exchange, which is never repeated', async (_, answer, expected) => {
  const { peer, profile, consent } = await openOAuthScene()
  peer.next('token', answer)
  await expect(consent(profile())).rejects.toMatchObject({ name: 'ProviderError', ...expected })
  expect(peer.requestsTo('token')).toHaveLength(1)
})

test('[P4] a token endpoint that stays silent or drips is given up', async () => {
  const { peer, profile, consent } = await openOAuthScene({ totalMs: 500 })
  peer.next('token', answers.stall(), answers.drip())
  await expect(consent(profile())).rejects.toMatchObject({ kind: 'unavailable' })
  await expect(consent(profile())).rejects.toMatchObject({ kind: 'unavailable' })
})

test('keeps the answer fields that the profile names', async () => {
  const { peer, profile, consent } = await openOAuthScene()
  peer.behave({ token: { extra: { instance_url: 'https://na1.test', realm_token: 'no' } } })
  const { extra } = await consent(profile({ keepTokenFields: ['instance_url', 'realm_token', 'refresh_token'] }))
  expect(extra).toEqual({ instance_url: 'https://na1.test' })
})

test.each([
  ['name another issuer', () => ({ issuer: 'https://evil.test' })],
  ['name the issuer with a slash', (issuer: string) => ({ issuer: `${issuer}/` })],
  ['have no token endpoint', () => ({ token_endpoint: undefined })],
  ['have a token endpoint of another scheme', () => ({ token_endpoint: 'ftp://127.0.0.1/' })],
])('[P2] metadata that %s are refused', async (_, lie) => {
  const { peer, client, profile } = await openOAuthScene()
  peer.behave({ metadata: lie(peer.issuer) })
  await expect(client.findEndpoints(profile())).rejects.toMatchObject({ kind: 'invalid_answer' })
})

test('[P2] metadata behind a redirect are not followed, and the failure is not kept', async () => {
  const { peer, client, profile } = await openOAuthScene()
  peer.next(
    'discovery',
    answers.redirect(`${peer.issuer}/.well-known/openid-configuration`),
    answers.oversized(2 << 20),
  )
  await expect(client.findEndpoints(profile())).rejects.toMatchObject({ kind: 'invalid_answer', status: 302 })
  await expect(client.findEndpoints(profile())).rejects.toMatchObject({ kind: 'invalid_answer', message: /too large/ })
  await expect(client.findEndpoints(profile())).resolves.toMatchObject({ issuer: peer.issuer })
})

test('[P2] metadata of an issuer with a path are found at either place', async () => {
  const { peer, client, profile } = await openOAuthScene({ issuerPath: '/tenant' })
  peer.next('discovery', answers.text('no', { status: 404 }))
  await expect(client.findEndpoints(profile())).resolves.toMatchObject({ issuer: peer.issuer })
  expect(peer.requestsTo('discovery').map(({ path }) => path)).toEqual([
    '/tenant/.well-known/openid-configuration',
    '/.well-known/oauth-authorization-server/tenant',
  ])
})

test('[P4] metadata that lead inside are refused when the token endpoint is called', async () => {
  const { peer, profile, consent } = await openOAuthScene()
  peer.behave({ metadata: { token_endpoint: 'http://169.254.169.254/token' } })
  await expect(consent(profile())).rejects.toMatchObject({ kind: 'address' })
})
