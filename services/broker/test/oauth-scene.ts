import { randomBytes } from 'node:crypto'
import { startScriptedProvider, type ScriptedProvider, type ScriptedProviderOptions } from '@nexus/testing'
import { onTestFinished } from 'vitest'
import { createProviderClient, type ProviderClientDependencies } from '../src/oauth/openid-provider-client.ts'
import { createOutboundFetch } from '../src/oauth/outbound-fetch.ts'
import type {
  CodeExchange,
  ProviderClient,
  RefreshOutcome,
  RefreshRequest,
  TokenGrant,
} from '../src/oauth/provider-client.ts'
import type { OAuthProvider } from '../src/providers/provider.ts'
import { makeOAuthProvider, type OAuthProviderChange } from './make-oauth-provider.ts'

export const redirectUri = 'http://127.0.0.1:1/auth/callback'
export const clientSecret = 'client secret: 100% +&=/ü'

export type OAuthScene = {
  readonly peer: ScriptedProvider
  readonly client: ProviderClient
  /** A profile of the peer, discovered. */
  readonly profile: (change?: OAuthProviderChange) => OAuthProvider
  /** The same with the endpoints in the profile and no issuer. */
  readonly staticProfile: (change?: OAuthProviderChange) => OAuthProvider
  /** Builds the authorization URL, lets the peer answer it, and exchanges the code. */
  readonly consent: (provider: OAuthProvider, change?: Partial<CodeExchange>) => Promise<TokenGrant>
  readonly refresh: (provider: OAuthProvider, change?: Partial<RefreshRequest>) => Promise<RefreshOutcome>
}

export type OAuthSceneOptions = ScriptedProviderOptions & {
  readonly client?: Partial<ProviderClientDependencies>
  /** Deadline of each request of the provider client. */
  readonly totalMs?: number
}

/**
 * A provider client before a scripted provider, both gone when the test ends. ID tokens are signed by ES256 unless told
 * otherwise, because RSA keys take long to make.
 */
export async function openOAuthScene(options: OAuthSceneOptions = {}): Promise<OAuthScene> {
  const { signingAlg = 'ES256', totalMs = 10_000 } = options
  const peer = await startScriptedProvider({
    clients: [{ clientId: 'nexus-client', clientSecret, redirectUris: [redirectUri] }],
    ...options,
    signingAlg,
  })
  onTestFinished(() => peer[Symbol.asyncDispose]())
  const fetch = createOutboundFetch({ allowPrivateNetworks: true, timeouts: { totalMs } })
  onTestFinished(() => fetch[Symbol.asyncDispose]())
  const client = createProviderClient({ fetch, clockOffsetMs: () => 0, ...options.client })

  const make = (change: OAuthProviderChange) => makeOAuthProvider({ idTokenSignedResponseAlg: signingAlg, ...change })
  const endpoints = { authUrl: `${peer.issuer}/authorize`, tokenUrl: `${peer.issuer}/token` }
  return {
    peer,
    client,
    profile: (change) => make({ issuer: peer.issuer, ...change }),
    staticProfile: (change) => make({ ...endpoints, scopes: ['read'], ...change }),

    async consent(provider, change = {}) {
      const { scopes } = provider
      const own = { codeVerifier: randomText(), nonce: randomText(), redirectUri, scopes }
      const url = await client.buildAuthorizationUrl(provider, { ...own, state: randomText() })
      const response = await globalThis.fetch(url, { redirect: 'manual' })
      const code = new URL(response.headers.get('location') ?? '').searchParams.get('code') ?? ''
      return client.exchangeCode(provider, { clientSecret, code, ...own, ...change })
    },

    refresh: (provider, change = {}) =>
      client.refresh(provider, { clientSecret, refreshToken: 'rt', account: undefined, ...change }),
  }
}

function randomText(): string {
  return randomBytes(32).toString('base64url')
}
