import { calculatePKCECodeChallenge } from 'openid-client'
import type { OAuthProvider } from '../providers/provider.ts'
import type { AuthorizationRequest } from './provider-client.ts'
import { pickFreeParameters } from './reserved-parameters.ts'

/**
 * The URL of an authorization request (RFC 6749 §4.1.1; RFC 7636 §4.3; OIDC Core §3.1.2.1). The endpoint's own query
 * survives; nothing in it or in the profile overrides what the protocol needs.
 */
export async function writeAuthorizationUrl(
  endpoint: string,
  provider: OAuthProvider,
  request: AuthorizationRequest,
): Promise<URL> {
  const { params, clientId } = provider
  const url = new URL(endpoint)
  const own: Record<string, string | undefined> = {
    response_type: 'code',
    client_id: clientId,
    redirect_uri: request.redirectUri,
    scope: params.skipScopeOnAuth || request.scopes.length === 0 ? undefined : joinScopes(provider, request.scopes),
    state: request.state,
    nonce: asksForIdToken(provider, request.scopes) ? request.nonce : undefined,
    response_mode: params.responseMode,
    ...(request.codeVerifier !== undefined && {
      code_challenge: await calculatePKCECodeChallenge(request.codeVerifier),
      code_challenge_method: 'S256',
    }),
  }
  for (const [name, value] of Object.entries(pickFreeParameters(params.authorizationParams))) {
    url.searchParams.set(name, value)
  }
  for (const [name, value] of Object.entries(own)) {
    if (value !== undefined) url.searchParams.set(name, value)
  }
  return url
}

/** Whether the request makes an ID token due (OIDC Core §3.1.2.1). */
export function asksForIdToken(provider: OAuthProvider, scopes: readonly string[]): boolean {
  return scopes.includes('openid') && !provider.params.skipScopeOnAuth
}

export function joinScopes(provider: OAuthProvider, scopes: readonly string[]): string {
  return scopes.join(provider.scopeSeparator)
}
