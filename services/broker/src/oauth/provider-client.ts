import type { OAuthProvider } from '../providers/provider.ts'
import type { SendingHooks } from './sending-hooks.ts'

/** Where a provider is, from its metadata (RFC 8414) or from the profile. */
export type ProviderEndpoints = {
  readonly issuer: string | undefined
  readonly authorizationEndpoint: string
  readonly tokenEndpoint: string
  readonly jwksUri: string | undefined
  readonly revocationEndpoint: string | undefined
  /** The metadata promises `iss` in every authorization response (RFC 9207 §3). */
  readonly promisesIss: boolean
}

export type AuthorizationRequest = {
  readonly redirectUri: string
  readonly state: string
  /** Sent when `openid` is among the scopes. */
  readonly nonce: string
  /** undefined where the profile switched PKCE off. */
  readonly codeVerifier: string | undefined
  readonly scopes: readonly string[]
}

export type CodeExchange = {
  readonly clientSecret: string | undefined
  readonly code: string
  readonly redirectUri: string
  readonly codeVerifier: string | undefined
  readonly nonce: string
  readonly scopes: readonly string[]
}

export type RefreshRequest = {
  readonly clientSecret: string | undefined
  readonly refreshToken: string
  /** Whom a returned ID token must name (OIDC Core §12.2); undefined where no ID token ever came. */
  readonly account: { readonly issuer: string; readonly subject: string } | undefined
  readonly hooks?: SendingHooks
}

export type Account = { readonly issuer: string; readonly subject: string; readonly label: string | undefined }

/** What a token endpoint granted. Lives in memory between the answer and the vault. */
export type TokenGrant = {
  readonly accessToken: string
  /** As registered: `Bearer` whatever the spelling. */
  readonly tokenType: string
  readonly refreshToken: string | undefined
  readonly idToken: string | undefined
  /** As stated by the provider; undefined when it stated nothing, which means "as asked" (RFC 6749 §5.1). */
  readonly scopes: readonly string[] | undefined
  readonly expiresInSeconds: number | undefined
  /** Whole answer fields that the profile keeps for agents. */
  readonly extra: Readonly<Record<string, unknown>>
  /** From the verified ID token. */
  readonly account: Account | undefined
  /** Monotonic milliseconds (performance.now()) when the request was sent: lifetimes count from there. */
  readonly sentAtMs: number
}

export type RefreshOutcome =
  | { readonly kind: 'refreshed'; readonly grant: TokenGrant }
  /** The provider says this grant is over: only the user can mend it. */
  | { readonly kind: 'grant_ended'; readonly error: string }
  /** The provider refuses the client itself: only the operator can mend it; no connection is to blame. */
  | { readonly kind: 'client_refused'; readonly error: string }
  | {
      readonly kind: 'transient'
      readonly reason: string
      readonly retryAfterSeconds: number | undefined
      /** The provider may have done what it was asked: the token may be spent though no answer came of it. */
      readonly isOutcomeUnknown: boolean
      /** The provider does not work, or wants to be left alone: others' tokens would fare no better. */
      readonly isProviderAway: boolean
    }
  /** The hook held the request back: not one byte has left. */
  | { readonly kind: 'held_back' }

export type RevocationRequest = {
  readonly clientSecret: string | undefined
  readonly token: string
  readonly tokenTypeHint: 'refresh_token' | 'access_token'
  /** The caller's deadline, for everything: metadata, connecting, the answer. */
  readonly signal: AbortSignal
}

/** What became of one token for good: asking again would change nothing. */
export type SettledRevocation =
  | { readonly kind: 'done' }
  /** The provider has no way to revoke it. */
  | { readonly kind: 'unsupported' }
  | { readonly kind: 'refused'; readonly error: string }

export type RevocationOutcome =
  | SettledRevocation
  /** It still lives, and is to be revoked later (RFC 7009 §2.2.1). */
  | { readonly kind: 'transient'; readonly reason: string; readonly retryAfterSeconds: number | undefined }

/** All that Nexus asks of a provider. Every method throws ProviderError (provider-errors.ts) unless it says otherwise. */
export type ProviderClient = {
  findEndpoints(provider: OAuthProvider): Promise<ProviderEndpoints>
  /** The URL to send the browser to (RFC 6749 §4.1.1, RFC 7636 §4.3). */
  buildAuthorizationUrl(provider: OAuthProvider, request: AuthorizationRequest): Promise<URL>
  /** Presents the code (RFC 6749 §4.1.3) and verifies the ID token, if one comes or must come (P1). */
  exchangeCode(provider: OAuthProvider, exchange: CodeExchange): Promise<TokenGrant>
  /** Presents the refresh token once (RFC 6749 §6). Never throws for what a provider answers. */
  refresh(provider: OAuthProvider, request: RefreshRequest): Promise<RefreshOutcome>
  /** Revokes one token (RFC 7009 §2.1). Never throws for what a provider answers. */
  revoke(provider: OAuthProvider, request: RevocationRequest): Promise<RevocationOutcome>
}
