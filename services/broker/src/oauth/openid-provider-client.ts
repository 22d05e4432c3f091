import type { OAuthProvider } from '../providers/provider.ts'
import { asksForIdToken, joinScopes, writeAuthorizationUrl } from './authorization-url.ts'
import { createDiscoveryCache } from './discovery-cache.ts'
import { findKnownEndpoints } from './find-metadata.ts'
import {
  identifyAfterExchange,
  identifyAfterRefresh,
  type Identity,
  type IdentifyDependencies,
} from './identify-account.ts'
import { createKeySets } from './key-sets.ts'
import type { OutboundFetch } from './outbound-fetch.ts'
import type { SendingHooks } from './sending-hooks.ts'
import type {
  Account,
  CodeExchange,
  ProviderClient,
  RefreshOutcome,
  RefreshRequest,
  TokenGrant,
} from './provider-client.ts'
import { ProviderError } from './provider-errors.ts'
import { classifyRefreshError } from './refresh-outcome.ts'
import { pickFreeParameters } from './reserved-parameters.ts'
import { revokeToken } from './revocation-request.ts'
import { sendTokenRequest, type SentTokenRequest, type TokenRequestDependencies } from './token-request.ts'

export type ProviderClientDependencies = {
  readonly fetch: OutboundFetch
  /** Database time minus host time, in milliseconds: ID tokens are judged by the database's clock (R9). */
  readonly clockOffsetMs: () => number
  /** Host time in milliseconds. */
  readonly now?: () => number
  /** Milliseconds on a clock that nobody sets. */
  readonly monotonicNow?: () => number
  /** How soon an unknown key id may make the issuer's keys be fetched again. */
  readonly keyCooldownMs?: number
}

/** The provider client over openid-client and jose. It keeps metadata and keys in memory, and no secret. */
export function createProviderClient(dependencies: ProviderClientDependencies): ProviderClient {
  const { fetch, clockOffsetMs, now = Date.now, monotonicNow = () => performance.now() } = dependencies
  const clocks = { fetch, now, monotonicNow }
  const context: Context = {
    ...clocks,
    discovery: createDiscoveryCache(clocks),
    keySets: createKeySets({ fetch, cooldownMs: dependencies.keyCooldownMs ?? 30_000 }),
    decisiveNow: () => now() + clockOffsetMs(),
  }
  return {
    async findEndpoints(provider) {
      const { tokenEndpointAuthMethods: _, ...endpoints } = await findKnownEndpoints(provider, context.discovery)
      return endpoints
    },
    async buildAuthorizationUrl(provider, request) {
      const { authorizationEndpoint } = await findKnownEndpoints(provider, context.discovery)
      return writeAuthorizationUrl(authorizationEndpoint, provider, request)
    },
    exchangeCode: (provider, exchange) => exchangeCode(context, provider, exchange),
    async refresh(provider, request) {
      const sending = watchSending(request.hooks)
      try {
        return await refreshOnce(context, provider, { ...request, hooks: sending.hooks })
      } catch (error) {
        if (!(error instanceof ProviderError)) throw error
        if (sending.wasHeldBack()) return { kind: 'held_back' }
        return classifyRefreshError(error, provider.fatalRefreshErrors, sending.hasBegun())
      }
    },
    revoke: (provider, request) => revokeToken(context, provider, request),
  }
}

/** Whether a request got as far as its first byte: what did not cannot have spent anything. */
function watchSending(hooks: SendingHooks | undefined) {
  let hasBegun = false
  let wasHeldBack = false
  return {
    hasBegun: () => hasBegun,
    wasHeldBack: () => wasHeldBack,
    hooks: {
      maySend: () => {
        hasBegun = hooks?.maySend() ?? true
        wasHeldBack = !hasBegun
        return hasBegun
      },
      onSent: () => hooks?.onSent(),
    },
  }
}

type Context = TokenRequestDependencies & IdentifyDependencies

async function exchangeCode(context: Context, provider: OAuthProvider, exchange: CodeExchange): Promise<TokenGrant> {
  const endpoints = await findKnownEndpoints(provider, context.discovery)
  const { clientSecret } = exchange
  const parameters = writeExchange(provider, exchange)
  const request = { provider, endpoints, clientSecret, grantType: 'authorization_code', parameters } as const
  const sent = await sendTokenRequest(request, context)

  const nonce = asksForIdToken(provider, exchange.scopes) ? exchange.nonce : undefined
  const received = { provider, endpoints, idToken: sent.answer.idToken }
  return toGrant(sent, await identifyAfterExchange(context, received, nonce))
}

/** RFC 6749 §4.1.3, RFC 7636 §4.5. */
function writeExchange(provider: OAuthProvider, exchange: CodeExchange): Readonly<Record<string, string>> {
  const { params } = provider
  return {
    ...pickFreeParameters(params.tokenParams),
    code: exchange.code,
    redirect_uri: exchange.redirectUri,
    ...(exchange.codeVerifier !== undefined && { code_verifier: exchange.codeVerifier }),
    ...(!params.skipScopeOnExchange && exchange.scopes.length > 0 && { scope: joinScopes(provider, exchange.scopes) }),
  }
}

async function refreshOnce(
  context: Context,
  provider: OAuthProvider,
  { clientSecret, refreshToken, account, hooks }: RefreshRequest,
): Promise<RefreshOutcome> {
  const endpoints = await findKnownEndpoints(provider, context.discovery)
  const parameters = { ...pickFreeParameters(provider.params.refreshParams), refresh_token: refreshToken }
  const request = { provider, endpoints, clientSecret, grantType: 'refresh_token', parameters, hooks } as const
  const sent = await sendTokenRequest(request, context)

  const identity = await identifyAfterRefresh(context, { provider, endpoints, idToken: sent.answer.idToken })
  if (account !== undefined && identity !== undefined && !isSameAccount(account, identity.account)) {
    // OIDC Core §12.2. The provider mixed accounts: these tokens open a stranger's, and the ones they replace may be
    // spent. Trying again cannot tell whose the next answer is; only the person can, by consenting anew.
    return { kind: 'grant_ended', error: 'account_mismatch' }
  }
  return { kind: 'refreshed', grant: toGrant(sent, identity) }
}

function toGrant({ answer, sentAtMs }: SentTokenRequest, identity: Identity | undefined): TokenGrant {
  return { ...answer, idToken: identity?.idToken, account: identity?.account, sentAtMs }
}

function isSameAccount(stored: NonNullable<RefreshRequest['account']>, account: Account): boolean {
  return stored.issuer === account.issuer && stored.subject === account.subject
}
