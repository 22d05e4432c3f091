import type { ProviderProfileInput } from '@nexus/contracts'
import { AppError } from '@nexus/service'
import type { AuditEventName, Origin } from '../audit/audit-event.ts'
import { recordEvent } from '../audit/record-event.ts'
import type { Database, Queryable } from '../db/database.ts'
import { isUniqueViolation } from '../db/database-errors.ts'
import type { SecretVault } from '../vault/secret-vault.ts'
import { listMissingZones } from '../zones/list-zones.ts'
import {
  type Kept,
  type PrepareProfileDeps,
  type PreparedProfile,
  assertCallbackNotShared,
  prepareProfile,
} from './prepare-profile.ts'
import { assertCredentialsFit, assertEndpointsStay, assertSecretStays, listChangedFields } from './profile-changes.ts'
import { refuseProfile } from './refuse-profile.ts'
import { type Provider, isStatic } from './provider.ts'
import * as store from './store.ts'

export type SaveProviderDeps = PrepareProfileDeps & {
  readonly database: Database
  readonly vault: SecretVault
  readonly createId: () => string
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
  const hasClientSecret = input.client_secret !== undefined
  const prepared = await prepareProfile(deps, id, input, { hasClientSecret, distinctRedirectUri: undefined })
  return saveProfile(deps, prepared, { event: 'provider.created', origin }, (transaction) =>
    store.insertProvider(transaction, deps.vault, prepared.write, input.client_secret),
  )
}

export type ProfileReplacement = ProviderProfileInput & { readonly revision?: number | undefined }

/**
 * Replaces a profile; an omitted secret is kept, and so is the redirect URI that the provider knows.
 * @throws AppError as above, and `revision_conflict`, `provider_not_found`
 */
export async function replaceProvider(
  deps: SaveProviderDeps,
  id: string,
  input: ProfileReplacement,
  origin: Origin,
): Promise<SavedProvider> {
  const current = await requireProvider(deps.database, id)
  const distinctRedirectUri = isStatic(current) ? undefined : current.distinctRedirectUri
  return changeProvider(deps, current, { input, clientSecret: input.client_secret, distinctRedirectUri, origin })
}

export type ProviderChange = Pick<Kept, 'distinctRedirectUri'> & {
  readonly input: ProfileReplacement
  /** undefined: kept; null: forgotten. */
  readonly clientSecret: string | null | undefined
  readonly origin: Origin
}

/** Saves `input` in place of `current`, if that is still what is stored. */
export async function changeProvider(
  deps: SaveProviderDeps,
  current: Provider,
  change: ProviderChange,
): Promise<SavedProvider> {
  const { clientSecret, origin } = change
  const prepared = await prepareChange(deps, current, change)
  const changed = listChangedFields(current, prepared.provider)
  const fields = clientSecret === undefined ? changed : [...changed, 'client_secret']
  return saveProfile(deps, prepared, { event: 'provider.updated', origin, fields }, async (transaction) => {
    if (!(await store.updateProvider(transaction, prepared.write, current.revision))) throw revisionConflict()
    await assertChangeAllowed(transaction, current, prepared.provider, clientSecret)
    if (clientSecret !== undefined) {
      await store.updateClientSecret(transaction, deps.vault, current.id, clientSecret ?? undefined)
    }
  })
}

/**
 * What `input` makes of `current`, checked by itself; nothing is saved.
 * @throws AppError `revision_conflict`, `invalid_profile`
 */
export function prepareChange(
  deps: PrepareProfileDeps,
  current: Provider,
  { input, clientSecret, distinctRedirectUri }: Omit<ProviderChange, 'origin'>,
): Promise<PreparedProfile> {
  // what is compared below is `current`: it has to be what is replaced
  if (input.revision !== undefined && input.revision !== current.revision) throw revisionConflict()
  if ((input.auth_type ?? 'oauth2') !== current.authType) {
    refuseProfile('auth_type', `is ${current.authType} and cannot change: register a new profile`)
  }
  const hasClientSecret = clientSecret === undefined ? current.hasClientSecret : clientSecret !== null
  // a shared callback path was decided by what one issuer promised: another issuer is asked anew (H6)
  const isMoved = !isStatic(current) && input.issuer !== current.issuer && distinctRedirectUri === false
  const kept = { hasClientSecret, distinctRedirectUri: isMoved ? undefined : distinctRedirectUri }
  return prepareProfile(deps, current.id, input, kept)
}

/**
 * What a change may not do to accounts that are connected, and to the secret that is stored.
 * @throws AppError `invalid_profile`
 */
export async function assertChangeAllowed(
  database: Queryable,
  current: Provider,
  next: Provider,
  clientSecret: string | null | undefined,
): Promise<void> {
  if (await store.hasConnections(database, current.id)) {
    if (next.name !== current.name) {
      refuseProfile('name', 'cannot change once accounts are connected; add an alias instead')
    }
    assertEndpointsStay(current, next)
    assertCredentialsFit(current, next)
  }
  if (clientSecret === undefined) assertSecretStays(current, next)
}

type RecordedChange = {
  readonly event: AuditEventName
  readonly origin: Origin
  /** Names of the fields that differ; undefined for a new profile. */
  readonly fields?: readonly string[]
}

/** What every save does around its own statement, in one transaction. */
async function saveProfile(
  deps: SaveProviderDeps,
  { provider, note }: PreparedProfile,
  { event, origin, fields }: RecordedChange,
  write: (transaction: Queryable) => Promise<void>,
): Promise<SavedProvider> {
  const { id, name, aliases } = provider
  await deps.database.transaction(async (transaction) => {
    await store.lockProfiles(transaction)
    await assertCallbackNotShared(transaction, provider)
    await write(transaction).catch((error: unknown) => {
      throw isUniqueViolation(error, 'provider_profiles_living_name') ? providerExists(name) : error
    })
    await writeNames(transaction, id, name, aliases)
    const change = { event, outcome: 'success', origin, providerId: id, data: { name, ...(fields && { fields }) } }
    await recordEvent(transaction, deps.createId(), change)
  })
  const notes = [note, adviseOnZones(await listMissingZones(deps.database, provider.zones))]
  const said = notes.filter((part) => part !== undefined).join(' ')
  return { provider: await requireProvider(deps.database, id), note: said === '' ? undefined : said }
}

/** Not refused: a profile may come before its zones. */
function adviseOnZones(missing: readonly string[]): string | undefined {
  if (missing.length === 0) return undefined
  return `No zone is called ${missing.join(', ')} yet: nobody sees the profile there before it is made.`
}

async function writeNames(transaction: Queryable, id: string, name: string, aliases: readonly string[]): Promise<void> {
  const foreign = await store.replaceAliases(transaction, id, aliases)
  if (foreign[0] !== undefined) throw providerExists(foreign[0])
  if (await store.isAliasOfAnother(transaction, id, name)) throw providerExists(name)
}

/** @throws AppError `provider_not_found` */
export async function requireProvider(database: Queryable, id: string): Promise<Provider> {
  const provider = await store.selectProviderById(database, id)
  if (provider === undefined) throw providerNotFound()
  return provider
}

export function providerNotFound(): AppError {
  return new AppError('provider_not_found', 'There is no such provider.')
}

export function revisionConflict(): AppError {
  return new AppError('revision_conflict', 'The profile was changed meanwhile; read it again and repeat the change.')
}

export function providerExists(name: string): AppError {
  return new AppError('provider_exists', `A provider already answers to the name ${name}.`, { details: { name } })
}
