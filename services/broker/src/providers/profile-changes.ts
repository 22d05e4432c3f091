import { refuseProfile } from './refuse-profile.ts'
import { toProfileBody } from './profile-settings.ts'
import { type Provider, type StaticProvider, isStatic } from './provider.ts'

/**
 * Refuses to move a profile to another origin once accounts are connected: their refresh tokens and the client secret
 * would be sent there with the next refresh, so whoever may edit profiles could collect them (the operator key reads no
 * credential). Another path of the same origin is the provider's own business; another origin is another profile.
 * @throws AppError `invalid_profile`
 */
export function assertEndpointsStay(current: Provider, next: Provider): void {
  const moved = findMovedEndpoint(current, next)
  if (moved === undefined) return
  refuseProfile(
    moved,
    'cannot move to another origin once accounts are connected: their tokens would be sent there. Register a new profile',
  )
}

/**
 * Refuses to take a stored client secret along to another origin: whoever may edit profiles could have it sent to
 * themselves. Whoever knows it gives it again.
 * @throws AppError `invalid_profile`
 */
export function assertSecretStays(current: Provider, next: Provider): void {
  const moved = next.hasClientSecret ? findMovedEndpoint(current, next) : undefined
  if (moved === undefined) return
  refuseProfile('client_secret', `must be given again where ${moved} moves to another origin: it would be sent there`)
}

/**
 * Refuses to change what stored credentials are made of and how agents use them, once accounts are connected: they would be
 * sent in another way than the people who typed them in were told, or not fit at all.
 * @throws AppError `invalid_profile`
 */
export function assertCredentialsFit(current: Provider, next: Provider): void {
  if (usesAlike(current, next)) return
  refuseProfile(
    'params',
    'must leave the fields and where they are put in a request as they are once accounts are connected. Register a new profile',
  )
}

/** Whether what was typed in for the one is used by the other, and in the same place. */
export function usesAlike(current: Provider, next: Provider): boolean {
  if (!isStatic(current) || !isStatic(next)) return true
  return current.strategy.type === next.strategy.type && placeOf(current) === placeOf(next)
}

/** Where credentials go in a request; a prefix or a region that was wrong may be put right. */
function placeOf({ strategy: { config } }: StaticProvider): string {
  const { value_prefix: _, region: __, ...place } = config
  return JSON.stringify(Object.entries(place).toSorted(([a], [b]) => (a < b ? -1 : 1)))
}

/** The field by which a profile leaves the origins that it has. */
export function findMovedEndpoint(current: Provider, next: Provider): string | undefined {
  const known = new Set(endpointsOf(current).map(([, url]) => originOf(url)))
  return endpointsOf(next).find(([, url]) => !known.has(originOf(url)))?.[0]
}

/** Where tokens and secrets go, and where the keys come from that prove who somebody is. */
function endpointsOf(provider: Provider): readonly (readonly [string, string])[] {
  const endpoints = isStatic(provider)
    ? // agents send what is typed in to the one, and the Broker tries it at the other
      { api_base_url: provider.apiBaseUrl, user_info_endpoint: provider.userInfoEndpoint }
    : {
        issuer: provider.issuer,
        token_url: provider.tokenUrl,
        revocation_url: provider.revocationUrl,
        jwks_uri: provider.jwksUri,
      }
  return Object.entries(endpoints).flatMap(([field, url]) => (url === undefined ? [] : [[field, url] as const]))
}

function originOf(url: string): string {
  return URL.canParse(url) ? new URL(url).origin : url
}

/** The names of the fields that differ, for the audit: values may be private, names are not. */
export function listChangedFields(current: Provider, next: Provider): readonly string[] {
  const bodies = [current, next].map((provider): Readonly<Record<string, unknown>> => ({
    ...toProfileBody(provider, undefined),
  }))
  const [before = {}, after = {}] = bodies
  const derived = ['redirect_uri', 'alarm', 'revision', 'created_at', 'updated_at']
  return Object.keys(after).filter(
    (field) => !derived.includes(field) && JSON.stringify(before[field]) !== JSON.stringify(after[field]),
  )
}
