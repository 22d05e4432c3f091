import type { OAuthProvider } from '../providers/provider.ts'
import { asksForIdToken, joinScopes, writeAuthorizationUrl } from './authorization-url.ts'
import { createDiscoveryCache } from './discovery-cache.ts'
import { findIssuerToDiscover, findKnownEndpoints, type KnownEndpoints } from './find-metadata.ts'
import { checkUnsignedIdToken, UnknownKeyError, verifyIdToken, type IdTokenRules } from './id-token.ts'
import { findIssuerRule } from './issuer-rule.ts'
import { createKeySets } from './key-sets.ts'
import type { OutboundFetch } from './outbound-fetch.ts'
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
import { sendTokenRequest, type SentTokenRequest } from './token-request.ts'

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
  const { keyCooldownMs = 30_000 } = dependencies
  const clocks = { fetch, now, monotonicNow }
  const discovery = createDiscoveryCache(clocks)
  const keySets = createKeySets({ fetch, cooldownMs: keyCooldownMs })

  /** undefined where nothing is known by which an ID token could be believed. */
  function findIdTokenRules(
    provider: OAuthProvider,
    { jwksUri }: KnownEndpoints,
    nonce: IdTokenRules['nonce'],
  ): IdTokenRules | undefined {
    const issuer = findIssuerRule(provider)
    if (issuer === undefined || jwksUri === undefined) return undefined
    return {
      issuer,
      keys: keySets.find(jwksUri),
      algorithm: provider.idTokenSignedResponseAlg,
      clientId: provider.clientId,
      nonce,
      nowMs: now() + clockOffsetMs(),
    }
  }

  async function verify(provider: OAuthProvider, idToken: string, rules: IdTokenRules): Promise<Account> {
    try {
      return await verifyIdToken(idToken, rules)
    } catch (error) {
      // The key set is fresh by now; if the issuer moved it, only new metadata can tell.
      const issuer = findIssuerToDiscover(provider)
      if (error instanceof UnknownKeyError && issuer !== undefined) discovery.forget(issuer)
      throw error
    }
  }

  async function exchangeCode(provider: OAuthProvider, exchange: CodeExchange): Promise<TokenGrant> {
    const endpoints = await findKnownEndpoints(provider, discovery)
    const sent = await sendTokenRequest(
      {
        provider,
        endpoints,
        clientSecret: exchange.clientSecret,
        grantType: 'authorization_code',
        parameters: writeExchange(provider, exchange),
      },
      clocks,
    )
    const { idToken } = sent.answer
    const isDue = asksForIdToken(provider, exchange.scopes)
    const rules = findIdTokenRules(
      provider,
      endpoints,
      isDue ? { kind: 'sent', value: exchange.nonce } : { kind: 'none-sent' },
    )
    if (isDue && idToken === undefined) throw new ProviderError('id_token', 'openid was asked for and no ID token came')
    if (isDue && rules === undefined)
      throw new ProviderError('id_token', 'no issuer or keys are known for the ID token')
    // One that nobody asked for and nobody can verify is worth nothing.
    if (idToken === undefined || rules === undefined) return toGrant(sent, undefined)
    return toGrant(sent, { idToken, account: await verify(provider, idToken, rules) })
  }

  async function refreshOnce(provider: OAuthProvider, request: RefreshRequest): Promise<RefreshOutcome> {
    const endpoints = await findKnownEndpoints(provider, discovery)
    const parameters = { ...pickFreeParameters(provider.params.refreshParams), refresh_token: request.refreshToken }
    const { clientSecret } = request
    const sent = await sendTokenRequest(
      { provider, endpoints, clientSecret, grantType: 'refresh_token', parameters },
      clocks,
    )

    const { idToken } = sent.answer
    const rules = findIdTokenRules(provider, endpoints, { kind: 'any' })
    if (idToken === undefined || rules === undefined) return { kind: 'refreshed', grant: toGrant(sent, undefined) }
    const identity = await verifyRefreshed(provider, idToken, rules)
    const { account } = request
    if (account !== undefined && !isSameAccount(account, identity.account)) {
      // OIDC Core §12.2. The provider mixed accounts: these tokens open a stranger's, and the ones they replace may be
      // spent. Trying again cannot tell whose the next answer is; only the person can, by consenting anew.
      return { kind: 'grant_ended', error: 'account_mismatch' }
    }
    return { kind: 'refreshed', grant: toGrant(sent, identity) }
  }

  async function verifyRefreshed(provider: OAuthProvider, idToken: string, rules: IdTokenRules): Promise<Identity> {
    try {
      return { idToken, account: await verify(provider, idToken, rules) }
    } catch (error) {
      // The tokens in hand may be the only ones that still work: missing keys must not throw them away.
      const isWithoutKeys = error instanceof ProviderError && error.kind !== 'id_token'
      if (!isWithoutKeys) throw error
      return { idToken: undefined, account: checkUnsignedIdToken(idToken, rules) }
    }
  }

  return {
    async findEndpoints(provider) {
      const { tokenEndpointAuthMethods: _, ...endpoints } = await findKnownEndpoints(provider, discovery)
      return endpoints
    },
    async buildAuthorizationUrl(provider, request) {
      const { authorizationEndpoint } = await findKnownEndpoints(provider, discovery)
      return writeAuthorizationUrl(authorizationEndpoint, provider, request)
    },
    exchangeCode,
    async refresh(provider, request) {
      try {
        return await refreshOnce(provider, request)
      } catch (error) {
        if (error instanceof ProviderError) return classifyRefreshError(error, provider.fatalRefreshErrors)
        throw error
      }
    },
  }
}

type Identity = { readonly idToken: string | undefined; readonly account: Account }

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

function toGrant({ answer, sentAtMs }: SentTokenRequest, identity: Identity | undefined): TokenGrant {
  return { ...answer, idToken: identity?.idToken, account: identity?.account, sentAtMs }
}

function isSameAccount(stored: NonNullable<RefreshRequest['account']>, account: Account): boolean {
  return stored.issuer === account.issuer && stored.subject === account.subject
}
