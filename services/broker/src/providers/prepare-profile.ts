import type { ProviderProfileInput } from '@nexus/contracts'
import type { Queryable } from '../db/database.ts'
import type { ProviderClient } from '../oauth/provider-client.ts'
import { normaliseAlias } from './alias.ts'
import { assertProfileWorks } from './profile-rules.ts'
import { type ProfileSettings, toProvider } from './profile-settings.ts'
import { type OAuthProvider, type Provider, isStatic } from './provider.ts'
import { type AssertUrlAllowed, refuseProfile } from './refuse-profile.ts'
import * as store from './store.ts'

export type PrepareProfileDeps = {
  readonly assertUrlAllowed: AssertUrlAllowed
  readonly providerClient: Pick<ProviderClient, 'findEndpoints'>
}

/** What a change leaves as it is. */
export type Kept = {
  readonly hasClientSecret: boolean
  /** Operators have registered the redirect URI that follows from it. undefined: to be decided. */
  readonly distinctRedirectUri: boolean | undefined
}

export type PreparedProfile = {
  readonly provider: Provider
  readonly write: store.ProviderWrite
  /** Tells the operator what was decided for them. */
  readonly note: string | undefined
}

/**
 * Checks a profile by itself and fills in what is decided when it is saved. It may ask the issuer for its metadata, so it
 * runs outside of any transaction (R8); what depends on other profiles is left to `assertCallbackNotShared`.
 * @throws AppError `invalid_profile`
 */
export async function prepareProfile(
  deps: PrepareProfileDeps,
  id: string,
  input: ProviderProfileInput & { readonly revision?: number | undefined },
  kept: Kept,
): Promise<PreparedProfile> {
  const { name, client_secret: _, aliases = [], zones = [], revision: __, ...rest } = input
  const normalised = [...new Set(aliases.map(normaliseAlias))].filter((alias) => alias !== name)
  if (normalised.includes('')) refuseProfile('aliases', 'must not be blank')
  const asProvider = (settings: ProfileSettings): Provider => {
    const identity = { id, name, zones, aliases: normalised, hasClientSecret: kept.hasClientSecret }
    return toProvider(settings, {
      ...identity,
      alarm: undefined,
      revision: 0,
      createdAt: new Date(0),
      updatedAt: new Date(0),
    })
  }

  const wanted = rest.distinct_redirect_uri ?? kept.distinctRedirectUri
  const provider = asProvider({ ...rest, distinct_redirect_uri: wanted ?? true })
  // the rules come first: no request goes out for a profile that is refused
  await assertProfileWorks(provider, rest, deps.assertUrlAllowed)
  if (isStatic(provider)) return { provider, write: { id, name, zones, settings: rest }, note: undefined }
  const distinct =
    wanted === undefined ? await decideDistinctRedirectUri(deps, provider) : { value: wanted, note: undefined }
  const settings = { ...rest, distinct_redirect_uri: distinct.value }
  return { provider: asProvider(settings), write: { id, name, zones, settings }, note: distinct.note }
}

/** A path of its own, unless the provider promises to name itself in every response (RFC 9207). */
async function decideDistinctRedirectUri(deps: PrepareProfileDeps, provider: OAuthProvider) {
  if (!provider.enableDiscovery) return { value: true, note: undefined }
  try {
    const { promisesIss } = await deps.providerClient.findEndpoints(provider)
    return { value: !promisesIss, note: undefined }
  } catch {
    return {
      value: true,
      note: "The issuer's metadata could not be read now; the profile got a redirect URI of its own, which always works.",
    }
  }
}

/**
 * H6: where a response cannot name its issuer, only the path tells providers apart. Inside the transaction of the save,
 * under the lock of all saves: two profiles saved at once must not miss each other.
 * @throws AppError `invalid_profile`
 */
export async function assertCallbackNotShared(transaction: Queryable, provider: Provider): Promise<void> {
  if (isStatic(provider)) return
  const shared = await store.selectSharedCallback(transaction, provider.id)
  if (shared !== undefined) {
    refuseProfile(
      'name',
      `the profile ${shared} has neither an issuer nor a redirect URI of its own; set its distinct_redirect_uri first`,
    )
  }
  if (provider.distinctRedirectUri || provider.issuer !== undefined) return
  if (await store.hasOtherProviders(transaction, provider.id)) {
    refuseProfile('distinct_redirect_uri', 'cannot be false for a provider without issuer while other profiles exist')
  }
}
