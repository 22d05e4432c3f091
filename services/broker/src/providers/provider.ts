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

/**
 * An OAuth 2.0 or OpenID provider as an operator described it, defaults filled in.
 * It never holds the client secret: that one is opened by the store for the milliseconds of one exchange.
 */
export type OAuthProvider = {
  readonly authType: 'oauth2'
  readonly id: string
  readonly name: string
  readonly aliases: readonly string[]
  /** Zones that may start handshakes; empty means all. */
  readonly zones: readonly string[]
  readonly description: string | undefined
  readonly category: string | undefined
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
  readonly hasClientSecret: boolean
  /** undefined: what the metadata says, else post. */
  readonly authHeader: ClientAuthentication | undefined
  readonly scopes: readonly string[]
  readonly scopeSeparator: string
  readonly enforceScopes: boolean
  readonly apiBaseUrl: string | undefined
  readonly userInfoEndpoint: string | undefined
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
  readonly params: ProviderParams
  /** The provider refuses our client, since when: only the operator can mend that. */
  readonly alarm: { readonly reason: string; readonly since: Date } | undefined
  readonly revision: number
  readonly createdAt: Date
  readonly updatedAt: Date
}

export type Provider = OAuthProvider

/** A provider with its client secret in plaintext: hold it for one exchange, and never longer. */
export type OpenedProvider = {
  readonly provider: Provider
  readonly clientSecret: string | undefined
  /** It was seen to answer a refresh with a new refresh token. */
  readonly rotates: boolean
}
