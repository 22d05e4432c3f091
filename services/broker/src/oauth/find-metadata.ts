import type { OAuthProvider } from '../providers/provider.ts'
import type { DiscoveryCache } from './discovery-cache.ts'
import type { ProviderEndpoints } from './provider-client.ts'
import { ProviderError } from './provider-errors.ts'
import type { IssuerToDiscover } from './provider-metadata.ts'

/** A provider's endpoints, with what only this folder needs of its metadata. */
export type KnownEndpoints = ProviderEndpoints & {
  /** `'unknown'` where the endpoints are the profile's own. */
  readonly tokenEndpointAuthMethods: readonly string[] | undefined | 'unknown'
}

/** The issuer whose metadata a profile asks for; undefined where its endpoints are its own. */
export function findIssuerToDiscover(provider: OAuthProvider): IssuerToDiscover | undefined {
  const { issuer, issuerTemplate, enableDiscovery } = provider
  return enableDiscovery && issuer !== undefined ? { issuer, issuerTemplate } : undefined
}

/**
 * Where a provider is, from its issuer's metadata or from the profile.
 *
 * @throws ProviderError as DiscoveryCache.find does; `invalid_answer` for a profile that has neither.
 */
export async function findKnownEndpoints(provider: OAuthProvider, discovery: DiscoveryCache): Promise<KnownEndpoints> {
  const toDiscover = findIssuerToDiscover(provider)
  if (toDiscover !== undefined) {
    const metadata = await discovery.find(toDiscover)
    // The profile's issuer, not the document's: where that one is a template it names no issuer at all.
    return {
      ...metadata,
      issuer: toDiscover.issuer,
      jwksUri: metadata.jwksUri ?? provider.jwksUri,
      revocationEndpoint: provider.revocationUrl ?? metadata.revocationEndpoint,
    }
  }
  const { issuer, authUrl, tokenUrl, jwksUri } = provider
  if (authUrl === undefined || tokenUrl === undefined) {
    throw new ProviderError('invalid_answer', 'the profile names neither an issuer to discover nor both endpoints')
  }
  return {
    issuer,
    authorizationEndpoint: authUrl,
    tokenEndpoint: tokenUrl,
    jwksUri,
    revocationEndpoint: provider.revocationUrl,
    promisesIss: false,
    tokenEndpointAuthMethods: 'unknown',
  }
}
