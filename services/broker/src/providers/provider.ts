import type { CredentialStrategy, StaticAuthType } from '@nexus/contracts'

/** How the client authenticates at the token endpoint (RFC 6749 §2.3.1; OIDC Core §9). */
export type ClientAuthentication = 'client_secret_post' | 'client_secret_basic' | 'none'

export type ProviderParams = {
  readonly skipScopeOnAuth: boolean
  /** Most providers want no `scope` with a code; some demand it (then this is false). */
  readonly skipScopeOnExchange: boolean
  readonly tokenParams: Readonly<Record<string, string>>
  readonly refreshParams: Readonly<Record<string, string>>
  readonly responseMode: 'query' | 'form_post' | undefined
  /** Further parameters of the authorization request, as the operator gave them. */
  readonly authorizationParams: Readonly<Record<string, string>>
}

/** What every profile has, whatever its accounts are opened with. */
type ProviderBase = {
  readonly id: string
  readonly name: string
  readonly aliases: readonly string[]
  /** Zones that may start handshakes; empty means all. */
  readonly zones: readonly string[]
  /** As people know it. */
  readonly displayName: string
  readonly description: string | undefined
  readonly category: string | undefined
  readonly scopes: readonly string[]
  readonly enforceScopes: boolean
  readonly apiBaseUrl: string | undefined
  readonly userInfoEndpoint: string | undefined
  /** The provider refuses our client, since when: only the operator can mend that. */
  readonly alarm: { readonly reason: string; readonly since: Date } | undefined
  readonly hasClientSecret: boolean
  readonly revision: number
  readonly createdAt: Date
  readonly updatedAt: Date
}

/**
 * An OAuth 2.0 or OpenID provider as an operator described it, defaults filled in.
 * It never holds the client secret: that one is opened by the store for the milliseconds of one exchange.
 */
export type OAuthProvider = ProviderBase & {
  readonly authType: 'oauth2'
  readonly issuer: string | undefined
  readonly enableDiscovery: boolean
  readonly authUrl: string | undefined
  readonly tokenUrl: string | undefined
  readonly jwksUri: string | undefined
  readonly idTokenSignedResponseAlg: string
  /** Issuer of ID tokens with `{tenantid}` in it, where one metadata document serves many tenants (Microsoft Entra). */
  readonly issuerTemplate: string | undefined
  readonly allowedTenants: readonly string[]
  readonly clientId: string
  /** undefined: what the metadata says, else post. */
  readonly authHeader: ClientAuthentication | undefined
  readonly scopeSeparator: string
  readonly exposeIdToken: boolean
  readonly distinctRedirectUri: boolean
  readonly pkce: 'required' | 'disabled'
  readonly defaultExpiresInSeconds: number | undefined
  readonly fatalRefreshErrors: readonly string[]
  /** What becomes of a refresh token that is presented again. */
  readonly refreshReuse: 'refuses' | 'revokes'
  /** What a revocation ends; `none`: the provider is never asked. */
  readonly revocation: 'grant' | 'token_only' | 'none'
  /** undefined: what the metadata says. */
  readonly revocationUrl: string | undefined
  readonly keepTokenFields: readonly string[]
  readonly keepCallbackParams: readonly string[]
  /** Every link of it shows who asks for what first. */
  readonly confirm: boolean
  readonly params: ProviderParams
}

/** A JSON Schema (2020-12) document of one object with scalar properties. */
export type CredentialSchema = Readonly<Record<string, unknown>>

/** A provider whose accounts are opened with what a person types in: an API key, a password, AWS keys. */
export type StaticProvider = ProviderBase & {
  readonly authType: StaticAuthType
  readonly credentialSchema: CredentialSchema
  readonly strategy: CredentialStrategy
  /** Whether credentials are tried at `userInfoEndpoint` before they are kept. */
  readonly verify: 'required' | 'best_effort' | 'off'
}

export type Provider = OAuthProvider | StaticProvider

/** A provider with its client secret in plaintext: hold it for one exchange, and never longer. */
export type OpenedProvider = {
  readonly provider: OAuthProvider
  readonly clientSecret: string | undefined
  /** It was seen to answer a refresh with a new refresh token. */
  readonly rotates: boolean
}

export function isStatic(provider: Provider): provider is StaticProvider {
  return provider.authType !== 'oauth2'
}
