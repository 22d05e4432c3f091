import type { ProviderProfileInput, ProviderProfilePatch } from '@nexus/contracts'
import { providerProfileInput } from '@nexus/contracts'
import { AppError } from '@nexus/service'
import type { AuditEventName, Origin } from '../audit/audit-event.ts'
import { insertAuditEvent } from '../audit/store.ts'
import type { Database, Queryable } from '../db/database.ts'
import { isUniqueViolation } from '../db/database-errors.ts'
import type { ProviderClient } from '../oauth/provider-client.ts'
import type { SecretVault } from '../vault/secret-vault.ts'
import { type AssertUrlAllowed, assertProfileWorks, refuseProfile } from './profile-rules.ts'
import { type ProfileSettings, toProvider } from './profile-settings.ts'
import type { Provider } from './provider.ts'
import * as store from './store.ts'

export type SaveProviderDeps = {
  readonly database: Database
  readonly vault: SecretVault
  readonly createId: () => string
  readonly assertUrlAllowed: AssertUrlAllowed
  readonly providerClient: Pick<ProviderClient, 'findEndpoints'>
}

/** What became of a save; `note` tells the operator what was decided for them. */
export type SavedProvider = { readonly provider: Provider; readonly note: string | undefined }

/** @throws AppError `provider_exists`, `invalid_profile` */
export async function registerProvider(
  deps: SaveProviderDeps,
  input: ProviderProfileInput,
  origin: Origin,
): Promise<SavedProvider> {
  const id = deps.createId()
  const { write, aliases, note } = await prepareWrite(deps, id, input, {
    hasClientSecret: input.client_secret !== undefined,
    distinctRedirectUri: undefined,
  })
  await deps.database.transaction(async (transaction) => {
    await store.insertProvider(transaction, deps.vault, write, input.client_secret).catch((error: unknown) => {
      throw isUniqueViolation(error, 'provider_profiles_living_name') ? providerExists(input.name) : error
    })
    await writeNames(transaction, id, input.name, aliases)
    await recordChange(deps, transaction, 'provider.created', { id, name: input.name, origin })
  })
  return { provider: await requireProvider(deps.database, id), note }
}

/** Replaces a profile; an omitted secret is kept. @throws AppError as above, and `revision_conflict`, `provider_not_found` */
export async function replaceProvider(
  deps: SaveProviderDeps,
  id: string,
  input: ProviderProfileInput & { readonly revision?: number | undefined },
  origin: Origin,
): Promise<SavedProvider> {
  const current = await requireProvider(deps.database, id)
  return saveChange(deps, current, input, input.client_secret, origin)
}

/** Changes the named fields; `null` takes one back to its default, and `client_secret: null` forgets the secret. */
export async function patchProvider(
  deps: SaveProviderDeps,
  id: string,
  patch: ProviderProfilePatch,
  origin: Origin,
): Promise<SavedProvider> {
  const stored = await store.selectStoredProfile(deps.database, id)
  if (stored === undefined) throw providerNotFound()
  const { client_secret, revision, ...changes } = patch
  const merged = { ...stored.profile, ...changes }
  const present = Object.fromEntries(Object.entries(merged).filter(([, value]) => value !== null))
  const input = providerProfileInput.safeParse(present)
  if (!input.success)
    refuseProfile(String(input.error.issues[0]?.path[0] ?? 'profile'), 'is not valid after this change')
  const withRevision = { ...input.data, revision: revision ?? stored.provider.revision }
  return saveChange(deps, stored.provider, withRevision, client_secret, origin)
}

async function saveChange(
  deps: SaveProviderDeps,
  current: Provider,
  input: ProviderProfileInput & { readonly revision?: number | undefined },
  clientSecret: string | null | undefined,
  origin: Origin,
): Promise<SavedProvider> {
  const { id } = current
  if (input.name !== current.name && (await store.hasConnections(deps.database, id))) {
    refuseProfile('name', 'cannot change once accounts are connected; add an alias instead')
  }
  const hasClientSecret = clientSecret === undefined ? current.hasClientSecret : clientSecret !== null
  const { write, aliases, note } = await prepareWrite(deps, id, input, {
    hasClientSecret,
    distinctRedirectUri: current.distinctRedirectUri,
  })
  await deps.database.transaction(async (transaction) => {
    const saved = await store
      .updateProvider(transaction, write, input.revision ?? current.revision)
      .catch((error: unknown) => {
        throw isUniqueViolation(error, 'provider_profiles_living_name') ? providerExists(input.name) : error
      })
    if (!saved) {
      throw new AppError('revision_conflict', 'The profile was changed meanwhile; read it again and repeat the change.')
    }
    if (clientSecret !== undefined) {
      await store.updateClientSecret(transaction, deps.vault, id, clientSecret ?? undefined)
    }
    await writeNames(transaction, id, input.name, aliases)
    await recordChange(deps, transaction, 'provider.updated', { id, name: input.name, origin })
  })
  return { provider: await requireProvider(deps.database, id), note }
}

type Kept = { readonly hasClientSecret: boolean; readonly distinctRedirectUri: boolean | undefined }

async function prepareWrite(deps: SaveProviderDeps, id: string, input: ProviderProfileInput, kept: Kept) {
  const {
    name,
    client_secret: _,
    aliases = [],
    zones = [],
    revision: __,
    ...rest
  } = input as ProviderProfileInput & {
    readonly revision?: number
  }
  const normalisedAliases = [...new Set(aliases.map((alias) => alias.trim().toLowerCase()))].filter(
    (alias) => alias !== name,
  )
  const asProvider = (settings: ProfileSettings): Provider =>
    toProvider(settings, {
      id,
      name,
      zones,
      aliases: normalisedAliases,
      hasClientSecret: kept.hasClientSecret,
      revision: 0,
      createdAt: new Date(0),
      updatedAt: new Date(0),
    })
  const wanted = rest.distinct_redirect_uri ?? kept.distinctRedirectUri
  // the rules come first: no request goes out for a profile that is refused
  await assertProfileWorks(asProvider({ ...rest, distinct_redirect_uri: wanted ?? true }), deps.assertUrlAllowed)
  const distinct =
    wanted === undefined
      ? await decideDistinctRedirectUri(deps, asProvider({ ...rest, distinct_redirect_uri: true }))
      : { value: wanted, note: undefined }
  const settings = { ...rest, distinct_redirect_uri: distinct.value }
  await assertCallbackNotShared(deps.database, asProvider(settings))
  return { write: { id, name, zones, settings }, aliases: normalisedAliases, note: distinct.note }
}

/** A path of its own, unless the provider promises to name itself in every response (RFC 9207). */
async function decideDistinctRedirectUri(deps: SaveProviderDeps, provider: Provider) {
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

/** H6: where a response cannot name its issuer, only the path tells providers apart. */
async function assertCallbackNotShared(database: Database, provider: Provider): Promise<void> {
  const shared = await store.selectSharedCallback(database, provider.id)
  if (shared !== undefined) {
    refuseProfile(
      'name',
      `the profile ${shared} has neither an issuer nor a redirect URI of its own; set its distinct_redirect_uri first`,
    )
  }
  if (provider.distinctRedirectUri || provider.issuer !== undefined) return
  if (await store.hasOtherProviders(database, provider.id)) {
    refuseProfile('distinct_redirect_uri', 'cannot be false for a provider without issuer while other profiles exist')
  }
}

async function writeNames(transaction: Queryable, id: string, name: string, aliases: readonly string[]): Promise<void> {
  const foreign = await store.replaceAliases(transaction, id, aliases)
  if (foreign[0] !== undefined) throw providerExists(foreign[0])
  if (await store.isAliasOfAnother(transaction, id, name)) throw providerExists(name)
}

async function recordChange(
  deps: SaveProviderDeps,
  transaction: Queryable,
  event: AuditEventName,
  { id, name, origin }: { readonly id: string; readonly name: string; readonly origin: Origin },
): Promise<void> {
  await insertAuditEvent(transaction, deps.createId(), {
    event,
    outcome: 'success',
    origin,
    providerId: id,
    data: { name },
  })
}

export async function requireProvider(database: Queryable, id: string): Promise<Provider> {
  const provider = await store.selectProviderById(database, id)
  if (provider === undefined) throw providerNotFound()
  return provider
}

export function providerNotFound(): AppError {
  return new AppError('provider_not_found', 'There is no such provider.')
}

function providerExists(name: string): AppError {
  return new AppError('provider_exists', `A provider already answers to the name ${name}.`, { details: { name } })
}
