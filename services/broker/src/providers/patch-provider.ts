import { type ProviderProfilePatch, providerProfileInput } from '@nexus/contracts'
import { isAppError } from '@nexus/service'
import type { Origin } from '../audit/audit-event.ts'
import { normaliseAlias } from './alias.ts'
import { refuseProfile } from './refuse-profile.ts'
import { isStatic } from './provider.ts'
import { type SaveProviderDeps, type SavedProvider, changeProvider, providerNotFound } from './save-provider.ts'
import * as store from './store.ts'

type StoredProfile = NonNullable<Awaited<ReturnType<typeof store.selectStoredProfile>>>

// whoever gives no revision wants this change on top of whatever stands there
const maxAttempts = 10

/**
 * Changes the named fields; `null` takes one back to its default, and `client_secret: null` forgets the secret. Without a
 * `revision`, a change that somebody else's came between is made again on top of theirs: neither is lost.
 * @throws AppError `provider_not_found`, `invalid_profile`, `provider_exists`, `revision_conflict`
 */
export function patchProvider(
  deps: SaveProviderDeps,
  id: string,
  patch: ProviderProfilePatch,
  origin: Origin,
): Promise<SavedProvider> {
  return changeStored(deps, id, () => patch, origin)
}

/** @throws AppError as patchProvider does */
export function addAlias(deps: SaveProviderDeps, id: string, alias: string, origin: Origin): Promise<SavedProvider> {
  return changeStored(deps, id, ({ provider }) => ({ aliases: [...provider.aliases, alias] }), origin)
}

/** Taking away an alias that is not there changes nothing. @throws AppError as patchProvider does */
export function removeAlias(deps: SaveProviderDeps, id: string, alias: string, origin: Origin): Promise<SavedProvider> {
  const gone = normaliseAlias(alias)
  const withoutIt = ({ provider }: StoredProfile) => ({ aliases: provider.aliases.filter((one) => one !== gone) })
  return changeStored(deps, id, withoutIt, origin)
}

async function changeStored(
  deps: SaveProviderDeps,
  id: string,
  describeChange: (stored: StoredProfile) => ProviderProfilePatch,
  origin: Origin,
): Promise<SavedProvider> {
  for (let attempt = 1; ; attempt++) {
    const stored = await store.selectStoredProfile(deps.database, id)
    if (stored === undefined) throw providerNotFound()
    const patch = describeChange(stored)
    try {
      return await applyPatch(deps, stored, patch, origin)
    } catch (error) {
      const isRepeatable = isAppError(error) && error.code === 'revision_conflict' && patch.revision === undefined
      if (!isRepeatable || attempt === maxAttempts) throw error
    }
  }
}

function applyPatch(
  deps: SaveProviderDeps,
  { provider, profile }: StoredProfile,
  { client_secret: clientSecret, revision = provider.revision, ...changes }: ProviderProfilePatch,
  origin: Origin,
): Promise<SavedProvider> {
  const stored = isStatic(provider) ? undefined : provider.distinctRedirectUri
  const merged = Object.entries({ ...profile, ...changes }).filter(([, value]) => value !== null)
  const input = providerProfileInput.safeParse(Object.fromEntries(merged))
  if (!input.success) {
    refuseProfile(String(input.error.issues[0]?.path[0] ?? 'profile'), 'is not valid after this change')
  }
  return changeProvider(deps, provider, {
    input: { ...input.data, revision },
    clientSecret,
    distinctRedirectUri: changes.distinct_redirect_uri === null ? undefined : stored,
    origin,
  })
}
