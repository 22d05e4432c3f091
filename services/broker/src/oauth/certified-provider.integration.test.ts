import { createBrowser, startDemoProvider } from '@nexus/testing'
import { expect, onTestFinished, test } from 'vitest'
import { makeOAuthProvider } from '../../test/make-oauth-provider.ts'
import { openOAuthScene, redirectUri } from '../../test/oauth-scene.ts'

const clientSecret = 'x'.repeat(43)

test('a whole handshake with a certified provider, signed in by a person', async () => {
  const demo = await startDemoProvider({
    clients: [
      {
        client_id: 'nexus-client',
        client_secret: clientSecret,
        redirect_uris: [redirectUri],
        grant_types: ['authorization_code', 'refresh_token'],
      },
    ],
  })
  onTestFinished(() => demo[Symbol.asyncDispose]())
  const { client } = await openOAuthScene()
  const provider = makeOAuthProvider({
    issuer: demo.issuer,
    scopes: ['openid', 'email', 'offline_access'],
    authHeader: 'client_secret_basic',
  })
  const request = {
    redirectUri,
    state: 's'.repeat(43),
    nonce: 'n'.repeat(43),
    codeVerifier: 'v'.repeat(43),
    scopes: provider.scopes,
  }
  const url = await client.buildAuthorizationUrl(provider, request)
  const page = await createBrowser().open(url, { stopAt: (next) => next.href.startsWith(redirectUri) })
  const code = page.url.searchParams.get('code') ?? ''
  const grant = await client.exchangeCode(provider, { ...request, clientSecret, code })
  expect(grant.account).toMatchObject({ issuer: demo.issuer })
  const { account, refreshToken = '' } = grant
  const outcome = await client.refresh(provider, { clientSecret, refreshToken, account })
  expect(outcome).toMatchObject({ kind: 'refreshed', grant: { account: { subject: account?.subject } } })
  expect(demo.counts).toMatchObject({ codeExchanges: 1, refreshes: 1, refusals: 0 })
})
