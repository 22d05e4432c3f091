import { sha256 } from '@nexus/crypto'
import { type OAuthProvider, type Provider, type StaticProvider, isStatic } from '../providers/provider.ts'
import { type RedirectUriSettings, redirectUriOf } from '../providers/redirect-uri.ts'

/**
 * What a handshake relies on of its profile. A change of any of it between the link and the callback aborts the handshake,
 * so that neither a code nor a typed-in credential is sent to an endpoint, or under a client, that the user never saw (H8).
 */
export function digestProfile(provider: Provider, settings: RedirectUriSettings): Buffer {
  const facts = isStatic(provider) ? staticFacts(provider) : oauthFacts(provider, redirectUriOf(provider, settings))
  return sha256(JSON.stringify(facts))
}

/** H8: nothing that the person relied on has changed since the link was made, and the profile is still there. */
export function isProfileUnchanged(
  provider: Provider,
  settings: RedirectUriSettings,
  { profileDigest, isProfileRemoved = false }: { readonly profileDigest: Buffer; readonly isProfileRemoved?: boolean },
): boolean {
  return !isProfileRemoved && digestProfile(provider, settings).equals(profileDigest)
}

function oauthFacts(provider: OAuthProvider, redirectUri: string) {
  return [
    provider.issuer ?? null,
    provider.issuerTemplate ?? null,
    provider.enableDiscovery,
    provider.authUrl ?? null,
    provider.tokenUrl ?? null,
    provider.jwksUri ?? null,
    provider.clientId,
    provider.authHeader ?? null,
    redirectUri,
  ]
}

function staticFacts({ authType, credentialSchema, strategy, apiBaseUrl, userInfoEndpoint }: StaticProvider) {
  return [authType, credentialSchema, strategy, apiBaseUrl ?? null, userInfoEndpoint ?? null]
}
