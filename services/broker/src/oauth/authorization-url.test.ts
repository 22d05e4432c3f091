import { createHash } from 'node:crypto'
import { expect, test } from 'vitest'
import { makeOAuthProvider, type OAuthProviderChange } from '../../test/make-oauth-provider.ts'
import { writeAuthorizationUrl } from './authorization-url.ts'
import type { AuthorizationRequest } from './provider-client.ts'

const request: AuthorizationRequest = {
  redirectUri: 'https://nexus.test/auth/callback',
  state: 'state-1',
  nonce: 'nonce-1',
  codeVerifier: 'v'.repeat(43),
  scopes: ['openid', 'read'],
}
const write = (
  change: OAuthProviderChange = {},
  over: Partial<AuthorizationRequest> = {},
  endpoint = 'https://idp.test/authorize',
) => writeAuthorizationUrl(endpoint, makeOAuthProvider(change), { ...request, ...over })

test('[H5] the URL carries a code request with an S256 challenge, and never the verifier', async () => {
  const url = await write()
  expect(`${url.origin}${url.pathname}`).toBe('https://idp.test/authorize')
  expect(Object.fromEntries(url.searchParams)).toEqual({
    response_type: 'code',
    client_id: 'nexus-client',
    redirect_uri: 'https://nexus.test/auth/callback',
    scope: 'openid read',
    state: 'state-1',
    nonce: 'nonce-1',
    code_challenge: createHash('sha256')
      .update(request.codeVerifier ?? '')
      .digest('base64url'),
    code_challenge_method: 'S256',
  })
})

test('[H5] without a verifier there is no challenge, not a plain one', async () => {
  const { searchParams } = await write({ pkce: 'disabled' }, { codeVerifier: undefined })
  expect([...searchParams.keys()].filter((name) => name.startsWith('code'))).toEqual([])
})

test('a nonce is sent only where openid is asked for', async () => {
  expect((await write({}, { scopes: ['read'] })).searchParams.has('nonce')).toBe(false)
  expect((await write({ params: { skipScopeOnAuth: true } })).searchParams.has('nonce')).toBe(false)
})

test('scopes are joined as the profile says, or left out', async () => {
  expect((await write({ scopeSeparator: ',' })).searchParams.get('scope')).toBe('openid,read')
  expect((await write({ params: { skipScopeOnAuth: true } })).searchParams.has('scope')).toBe(false)
  expect((await write({}, { scopes: [] })).searchParams.has('scope')).toBe(false)
})

test("the profile adds its own parameters, and the endpoint's query survives", async () => {
  const authorizationParams = { prompt: 'consent', access_type: 'offline' }
  const url = await write(
    { params: { authorizationParams, responseMode: 'form_post' } },
    {},
    'https://idp.test/authorize?p=policy-1',
  )
  expect(Object.fromEntries(url.searchParams)).toMatchObject({
    p: 'policy-1',
    prompt: 'consent',
    access_type: 'offline',
    response_mode: 'form_post',
    state: 'state-1',
  })
})

test('[H5] nothing in the profile or the endpoint overrides the protocol', async () => {
  const forged = {
    client_id: 'x',
    redirect_uri: 'https://evil.test',
    response_type: 'token',
    scope: 'x',
    state: 'x',
    nonce: 'x',
    code_challenge: 'x',
    code_challenge_method: 'plain',
    request: 'x',
    request_uri: 'https://evil.test/r',
    State: 'x',
  }
  const honest = await write()
  const byProfile = await write({ params: { authorizationParams: forged } })
  byProfile.searchParams.sort()
  honest.searchParams.sort()
  expect([...byProfile.searchParams]).toEqual([...honest.searchParams])
  const byEndpoint = await write({}, {}, 'https://idp.test/authorize?state=x&code_challenge_method=plain&client_id=x')
  for (const name of ['state', 'code_challenge_method', 'client_id']) {
    expect(byEndpoint.searchParams.getAll(name), name).toEqual(honest.searchParams.getAll(name))
  }
})
