import type { ProviderProfile, ProviderProfileInput, StaticAuthType } from '@nexus/contracts'
import { builtInSchema } from './built-in-schemas.ts'
import { type OAuthProvider, type Provider, type ProviderParams, type StaticProvider, isStatic } from './provider.ts'
import { buildStrategy } from './static-strategy.ts'

/**
 * What a profile's row keeps as a document: the operator's words (contract.md, Provider profile), less what has a column
 * or table of its own. What was left out stays out, so that a default can improve; `distinct_redirect_uri` is fixed when
 * the profile is saved, because operators register the redirect URI that follows from it.
 */
export type ProfileSettings = Omit<
  ProviderProfileInput,
  'name' | 'client_secret' | 'aliases' | 'zones' | 'revision'
> & {
  /** Static profiles have none. */
  readonly distinct_redirect_uri?: boolean | undefined
}

type ProfileIdentity = Pick<
  Provider,
  'id' | 'name' | 'zones' | 'aliases' | 'hasClientSecret' | 'alarm' | 'revision' | 'createdAt' | 'updatedAt'
>

/** The domain's view of a profile: every default filled in. */
export function toProvider(settings: ProfileSettings, identity: ProfileIdentity): Provider {
  const { auth_type: authType = 'oauth2' } = settings
  return authType === 'oauth2' ? toOAuthProvider(settings, identity) : toStaticProvider(authType, settings, identity)
}

function toBase(settings: ProfileSettings, identity: ProfileIdentity) {
  return {
    ...identity,
    displayName: settings.display_name ?? identity.name,
    description: settings.description,
    category: settings.category,
    apiBaseUrl: settings.api_base_url,
    userInfoEndpoint: settings.user_info_endpoint,
  }
}

function toStaticProvider(
  authType: StaticAuthType,
  settings: ProfileSettings,
  identity: ProfileIdentity,
): StaticProvider {
  const strategy = buildStrategy(authType, settings.params ?? {})
  return {
    authType,
    ...toBase(settings, identity),
    scopes: [],
    enforceScopes: true,
    strategy,
    credentialSchema: settings.params?.credential_schema ?? builtInSchema(strategy),
    verify: settings.verify ?? 'best_effort',
  }
}

function toOAuthProvider(settings: ProfileSettings, identity: ProfileIdentity): OAuthProvider {
  return {
    authType: 'oauth2',
    ...toBase(settings, identity),
    issuer: settings.issuer,
    enableDiscovery: settings.enable_discovery ?? (settings.issuer !== undefined && settings.token_url === undefined),
    authUrl: settings.auth_url,
    tokenUrl: settings.token_url,
    jwksUri: settings.jwks_uri,
    idTokenSignedResponseAlg: settings.id_token_signed_response_alg ?? 'RS256',
    issuerTemplate: settings.issuer_template,
    allowedTenants: settings.allowed_tenants ?? [],
    // a profile without one is not saved
    clientId: settings.client_id ?? '',
    authHeader: settings.auth_header,
    scopes: settings.scopes ?? [],
    scopeSeparator: settings.scope_separator ?? ' ',
    enforceScopes: settings.enforce_scopes ?? true,
    exposeIdToken: settings.expose_id_token ?? false,
    distinctRedirectUri: settings.distinct_redirect_uri ?? true,
    pkce: settings.pkce ?? 'required',
    defaultExpiresInSeconds: settings.default_expires_in,
    fatalRefreshErrors: settings.fatal_refresh_errors ?? [],
    refreshReuse: settings.refresh_reuse ?? 'refuses',
    revocation: settings.revocation ?? 'grant',
    revocationUrl: settings.revocation_url,
    keepTokenFields: settings.keep_token_fields ?? [],
    keepCallbackParams: settings.keep_callback_params ?? [],
    confirm: settings.confirm ?? false,
    params: toParams(settings.params ?? {}),
  }
}

function toParams(params: NonNullable<ProfileSettings['params']>): ProviderParams {
  const { skip_scope_on_auth, skip_scope_on_exchange, token_params, refresh_params, response_mode, ...others } = params
  return {
    skipScopeOnAuth: skip_scope_on_auth ?? false,
    skipScopeOnExchange: skip_scope_on_exchange ?? true,
    tokenParams: token_params ?? {},
    refreshParams: refresh_params ?? {},
    responseMode: response_mode,
    authorizationParams: Object.fromEntries(
      Object.entries(others).filter((entry): entry is [string, string] => typeof entry[1] === 'string'),
    ),
  }
}

/**
 * The answer's view: effective values, without the secret, with the redirect URI to register.
 * @param redirectUri - undefined for static credentials
 */
export function toProfileBody(provider: Provider, redirectUri: string | undefined): ProviderProfile {
  return {
    ...toBaseBody(provider),
    redirect_uri: redirectUri ?? null,
    ...(isStatic(provider) ? toStaticBody(provider) : toOAuthBody(provider)),
  }
}

function toBaseBody(provider: Provider) {
  return {
    id: provider.id,
    name: provider.name,
    aliases: [...provider.aliases],
    zones: [...provider.zones],
    display_name: provider.displayName,
    description: provider.description,
    category: provider.category,
    auth_type: provider.authType,
    has_client_secret: provider.hasClientSecret,
    api_base_url: provider.apiBaseUrl,
    user_info_endpoint: provider.userInfoEndpoint,
    alarm:
      provider.alarm === undefined
        ? null
        : { reason: provider.alarm.reason, since: provider.alarm.since.toISOString() },
    revision: provider.revision,
    created_at: provider.createdAt.toISOString(),
    updated_at: provider.updatedAt.toISOString(),
  }
}

function toStaticBody({ strategy, credentialSchema, verify }: StaticProvider) {
  return { strategy, credential_schema: { ...credentialSchema }, verify }
}

function toOAuthBody(provider: OAuthProvider) {
  return {
    issuer: provider.issuer,
    enable_discovery: provider.enableDiscovery,
    auth_url: provider.authUrl,
    token_url: provider.tokenUrl,
    jwks_uri: provider.jwksUri,
    id_token_signed_response_alg: provider.idTokenSignedResponseAlg,
    issuer_template: provider.issuerTemplate,
    allowed_tenants: [...provider.allowedTenants],
    client_id: provider.clientId,
    auth_header: provider.authHeader,
    scopes: [...provider.scopes],
    scope_separator: provider.scopeSeparator,
    enforce_scopes: provider.enforceScopes,
    expose_id_token: provider.exposeIdToken,
    distinct_redirect_uri: provider.distinctRedirectUri,
    pkce: provider.pkce,
    default_expires_in: provider.defaultExpiresInSeconds,
    fatal_refresh_errors: [...provider.fatalRefreshErrors],
    refresh_reuse: provider.refreshReuse,
    revocation: provider.revocation,
    revocation_url: provider.revocationUrl,
    keep_token_fields: [...provider.keepTokenFields],
    keep_callback_params: [...provider.keepCallbackParams],
    confirm: provider.confirm,
    params: toParamsBody(provider.params),
  }
}

function toParamsBody(params: ProviderParams): ProviderProfile['params'] {
  const knobs = {
    skip_scope_on_auth: params.skipScopeOnAuth,
    skip_scope_on_exchange: params.skipScopeOnExchange,
    token_params: { ...params.tokenParams },
    refresh_params: { ...params.refreshParams },
    ...(params.responseMode && { response_mode: params.responseMode }),
  }
  return Object.assign({ ...params.authorizationParams }, knobs)
}
