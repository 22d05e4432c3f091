import type { OAuthProvider, ProviderParams } from '../src/providers/provider.ts'

export type OAuthProviderChange = Partial<Omit<OAuthProvider, 'params'>> & { readonly params?: Partial<ProviderParams> }

/** A provider profile as the store would return it, for tests that need no store: discovered at `issuer` unless told otherwise. */
export function makeOAuthProvider(change: OAuthProviderChange = {}): OAuthProvider {
  const { params, ...fields } = change
  return {
    authType: 'oauth2',
    id: '019ab000-0000-7000-8000-000000000001',
    name: 'scripted',
    aliases: [],
    zones: [],
    displayName: 'test',
    description: undefined,
    category: undefined,
    issuer: undefined,
    enableDiscovery: fields.issuer !== undefined && fields.tokenUrl === undefined,
    authUrl: undefined,
    tokenUrl: undefined,
    jwksUri: undefined,
    idTokenSignedResponseAlg: 'RS256',
    issuerTemplate: undefined,
    allowedTenants: [],
    clientId: 'nexus-client',
    hasClientSecret: true,
    authHeader: undefined,
    scopes: ['openid', 'read'],
    scopeSeparator: ' ',
    enforceScopes: true,
    apiBaseUrl: undefined,
    userInfoEndpoint: undefined,
    exposeIdToken: false,
    distinctRedirectUri: true,
    pkce: 'required',
    defaultExpiresInSeconds: undefined,
    fatalRefreshErrors: [],
    refreshReuse: 'refuses',
    revocation: 'grant',
    revocationUrl: undefined,
    alarm: undefined,
    keepTokenFields: [],
    keepCallbackParams: [],
    confirm: false,
    revision: 1,
    createdAt: new Date(0),
    updatedAt: new Date(0),
    ...fields,
    params: {
      skipScopeOnAuth: false,
      skipScopeOnExchange: true,
      tokenParams: {},
      refreshParams: {},
      responseMode: undefined,
      authorizationParams: {},
      ...params,
    },
  }
}
