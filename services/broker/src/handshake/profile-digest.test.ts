import { expect, test } from 'vitest'
import { type OAuthProviderChange, makeOAuthProvider } from '../../test/make-oauth-provider.ts'
import { digestProfile } from './profile-digest.ts'

const settings = { baseUrl: 'https://nexus.example.com', redirectPath: '/auth/callback' }

function digest(change: OAuthProviderChange = {}, redirectUri = settings): string {
  const endpoints = {
    issuer: 'https://idp.example',
    authUrl: 'https://idp.example/a',
    tokenUrl: 'https://idp.example/t',
  }
  return digestProfile(makeOAuthProvider({ ...endpoints, enableDiscovery: false, ...change }), redirectUri).toString(
    'hex',
  )
}

test.each<[string, OAuthProviderChange]>([
  ['issuer', { issuer: 'https://idp.example/' }],
  ['no issuer', { issuer: undefined }],
  ['issuer_template', { issuerTemplate: 'https://idp.example/{tenantid}' }],
  ['enable_discovery', { enableDiscovery: true }],
  ['auth_url', { authUrl: 'https://idp.example/b' }],
  ['token_url', { tokenUrl: 'https://idp.example/b' }],
  ['jwks_uri', { jwksUri: 'https://idp.example/keys' }],
  ['client_id', { clientId: 'another' }],
  ['auth_header', { authHeader: 'client_secret_basic' }],
])('[H8] the digest depends on %s', (_, change) => {
  expect(digest(change)).not.toBe(digest())
})

test('[H8] the digest depends on the redirect URI, and no value can pass for another', () => {
  expect(digest({}, { ...settings, redirectPath: '/auth/back' })).not.toBe(digest())
  expect(digest({ distinctRedirectUri: false })).not.toBe(digest({ distinctRedirectUri: true }))
  const [swapped, straight] = [
    { authUrl: 'x', tokenUrl: 'y' },
    { authUrl: 'y', tokenUrl: 'x' },
  ]
  expect(digest(swapped)).not.toBe(digest(straight))
  expect(digest({ authUrl: 'null' })).not.toBe(digest({ authUrl: undefined }))
})

test.each<[string, OAuthProviderChange]>([
  ['description', { description: 'Another text' }],
  ['category', { category: 'mail' }],
  ['aliases', { aliases: ['other'] }],
  ['scopes', { scopes: ['openid', 'read', 'write'] }],
  ['api_base_url', { apiBaseUrl: 'https://api.example' }],
  ['revision and time', { revision: 7, updatedAt: new Date(1) }],
  ['default_expires_in', { defaultExpiresInSeconds: 60 }],
])('[H8] the digest does not depend on %s', (_, change) => {
  expect(digest(change)).toBe(digest())
})
