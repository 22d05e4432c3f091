import { isSecretName } from '../oauth/kept-fields.ts'
import { isReservedParameter } from '../oauth/reserved-parameters.ts'
import type { ProfileSettings } from './profile-settings.ts'
import { type OAuthProvider, type Provider, isStatic } from './provider.ts'
import { assertStaticProfileWorks } from './static-profile-rules.ts'
import { type AssertUrlAllowed, assertUrls, refuseProfile } from './refuse-profile.ts'

/**
 * Refuses a profile that cannot work, or could not work safely, naming the field (contract.md, Provider profile).
 * @throws AppError `invalid_profile`
 */
export async function assertProfileWorks(
  provider: Provider,
  settings: ProfileSettings,
  assertUrlAllowed: AssertUrlAllowed,
): Promise<void> {
  if (isStatic(provider)) await assertStaticProfileWorks(provider, settings, assertUrlAllowed)
  else await assertOAuthProfileWorks(provider, settings, assertUrlAllowed)
}

async function assertOAuthProfileWorks(
  provider: OAuthProvider,
  settings: ProfileSettings,
  assertUrlAllowed: AssertUrlAllowed,
): Promise<void> {
  assertFields(settings)
  assertEndpoints(provider)
  assertClientAuthentication(provider)
  assertPkce(provider)
  assertParameters(provider)
  assertKeptFields(provider)
  await assertUrls(
    {
      issuer: provider.issuer,
      auth_url: provider.authUrl,
      token_url: provider.tokenUrl,
      revocation_url: provider.revocationUrl,
      jwks_uri: provider.jwksUri,
      issuer_template: provider.issuerTemplate?.replaceAll('{tenantid}', 'tenant'),
      api_base_url: provider.apiBaseUrl,
      user_info_endpoint: provider.userInfoEndpoint,
    },
    assertUrlAllowed,
  )
}

function assertFields({ client_id: clientId, verify, params }: ProfileSettings): void {
  if (clientId === undefined) refuseProfile('client_id', 'is needed for oauth2')
  if (verify !== undefined) refuseProfile('verify', 'is for static credentials')
  if (params?.credential_schema !== undefined) refuseProfile('params.credential_schema', 'is for static credentials')
  if (params?.auth_strategy !== undefined) refuseProfile('params.auth_strategy', 'is for static credentials')
}

function assertEndpoints(provider: OAuthProvider): void {
  if (provider.enableDiscovery) {
    if (provider.issuer === undefined) refuseProfile('issuer', 'discovery needs the issuer')
  } else {
    if (provider.authUrl === undefined) refuseProfile('auth_url', 'is needed where discovery is off')
    if (provider.tokenUrl === undefined) refuseProfile('token_url', 'is needed where discovery is off')
    if (listsOpenid(provider) && (provider.issuer === undefined || provider.jwksUri === undefined)) {
      refuseProfile('issuer', 'the scope openid with static endpoints needs issuer and jwks_uri, to verify ID tokens')
    }
  }
  if (provider.issuerTemplate !== undefined && !provider.issuerTemplate.includes('{tenantid}')) {
    refuseProfile('issuer_template', 'must contain {tenantid}')
  }
  if (provider.allowedTenants.length > 0 && provider.issuerTemplate === undefined) {
    refuseProfile('allowed_tenants', 'needs issuer_template')
  }
}

function assertClientAuthentication(provider: OAuthProvider): void {
  if (provider.authHeader === 'none' && provider.hasClientSecret) {
    refuseProfile('auth_header', 'none sends no secret, but a client_secret is set')
  }
  const needsSecret = provider.authHeader === 'client_secret_post' || provider.authHeader === 'client_secret_basic'
  if (needsSecret && !provider.hasClientSecret) {
    refuseProfile('client_secret', `is needed for ${provider.authHeader}; a public client says auth_header none`)
  }
}

// without PKCE, an injected code is caught by a nonce, or kept apart by a path and a client of its own (RFC 9700 §2.1.1)
function assertPkce(provider: OAuthProvider): void {
  if (provider.pkce === 'required') return
  if (!provider.hasClientSecret) refuseProfile('pkce', 'can be disabled only for a client with a client_secret')
  if (!listsOpenid(provider) && !provider.distinctRedirectUri) {
    refuseProfile('pkce', 'can be disabled only with the scope openid or with distinct_redirect_uri')
  }
  if (provider.params.skipScopeOnAuth && !provider.distinctRedirectUri) {
    refuseProfile('pkce', 'cannot be disabled together with skip_scope_on_auth: nothing would ask for the nonce')
  }
}

function assertParameters({ params }: OAuthProvider): void {
  const { authorizationParams, tokenParams, refreshParams } = params
  const maps = { params: authorizationParams, token_params: tokenParams, refresh_params: refreshParams }
  for (const [field, map] of Object.entries(maps)) {
    const reserved = Object.keys(map).find(isReservedParameter)
    if (reserved !== undefined) refuseProfile(field, `must not set ${reserved}: the handshake decides it`)
  }
}

function assertKeptFields({ keepTokenFields, keepCallbackParams }: OAuthProvider): void {
  for (const [field, names] of Object.entries({
    keep_token_fields: keepTokenFields,
    keep_callback_params: keepCallbackParams,
  })) {
    const secret = names.find((name) => isSecretName(name) || name === 'state')
    if (secret !== undefined) refuseProfile(field, `must not hand out ${secret}: it is named like a secret`)
  }
}

export function listsOpenid(provider: Pick<OAuthProvider, 'scopes'>): boolean {
  return provider.scopes.includes('openid')
}
