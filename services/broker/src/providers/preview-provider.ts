import type { Database } from '../db/database.ts'
import { listMissingZones } from '../zones/list-zones.ts'
import { type PrepareProfileDeps, assertCallbackNotShared, prepareProfile } from './prepare-profile.ts'
import { type Provider, isStatic } from './provider.ts'
import {
  type ProfileReplacement,
  assertChangeAllowed,
  prepareChange,
  providerExists,
  revisionConflict,
} from './save-provider.ts'
import * as store from './store.ts'

export type PreviewProviderDeps = PrepareProfileDeps & {
  readonly database: Database
  readonly createId: () => string
}

export type ProviderPreview = {
  /** undefined: there is no profile of this name yet. */
  readonly current: Provider | undefined
  readonly next: Provider
  /** Of the zones that it names: nobody sees it there. */
  readonly missingZones: readonly string[]
}

/**
 * What would be stored if this profile were registered, or replaced the one of its name: with every default filled in, and
 * refused as it would be then. Nothing is saved, and nothing is promised: others may be quicker.
 * @throws AppError `invalid_profile`, `provider_exists` for the alias of another, `revision_conflict`
 */
export async function previewProvider(deps: PreviewProviderDeps, input: ProfileReplacement): Promise<ProviderPreview> {
  const { name } = input
  const current = await store.selectProviderByName(deps.database, name)
  if (current !== undefined && current.name !== name) throw providerExists(name)
  const next = current === undefined ? await previewNew(deps, input) : await previewChange(deps, current, input)
  return { current, next, missingZones: await listMissingZones(deps.database, next.zones) }
}

async function previewNew(deps: PreviewProviderDeps, input: ProfileReplacement): Promise<Provider> {
  const { client_secret: clientSecret, revision } = input
  if (revision !== undefined) throw revisionConflict()
  const kept = { hasClientSecret: clientSecret !== undefined, distinctRedirectUri: undefined }
  const { provider } = await prepareProfile(deps, deps.createId(), input, kept)
  await assertCallbackNotShared(deps.database, provider)
  return provider
}

async function previewChange(
  deps: PreviewProviderDeps,
  current: Provider,
  input: ProfileReplacement,
): Promise<Provider> {
  const { client_secret: clientSecret } = input
  const distinctRedirectUri = isStatic(current) ? undefined : current.distinctRedirectUri
  const { provider } = await prepareChange(deps, current, { input, clientSecret, distinctRedirectUri })
  await assertCallbackNotShared(deps.database, provider)
  await assertChangeAllowed(deps.database, current, provider, clientSecret)
  return provider
}
