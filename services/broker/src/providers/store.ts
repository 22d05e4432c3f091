import type { ProviderProfileInput } from '@nexus/contracts'
import type { Queryable } from '../db/database.ts'
import { fragment, sql } from '../db/sql.ts'
import type { SealedSecret, SecretVault } from '../vault/secret-vault.ts'
import { normaliseAlias } from './alias.ts'
import { type ProfileSettings, toProvider } from './profile-settings.ts'
import { type OpenedProvider, type Provider, isStatic } from './provider.ts'

type ProviderRow = {
  readonly id: string
  readonly name: string
  readonly zones: string[]
  readonly settings: ProfileSettings
  readonly aliases: string[]
  readonly has_client_secret: boolean
  readonly alarm: string | null
  readonly alarm_since: Date | null
  readonly revision: number
  readonly created_at: Date
  readonly updated_at: Date
}

const columns = fragment`
  p.id, p.name, p.zones, p.settings, p.revision, p.created_at, p.updated_at, p.alarm, p.alarm_since,
  p.client_secret is not null as has_client_secret,
  array(select a.alias from provider_aliases a where a.provider_id = p.id order by a.alias) as aliases`

function fromRow(row: ProviderRow): Provider {
  return toProvider(row.settings, {
    id: row.id,
    name: row.name,
    zones: row.zones,
    aliases: row.aliases,
    hasClientSecret: row.has_client_secret,
    alarm: row.alarm === null || row.alarm_since === null ? undefined : { reason: row.alarm, since: row.alarm_since },
    revision: row.revision,
    createdAt: row.created_at,
    updatedAt: row.updated_at,
  })
}

export async function selectProviders(database: Queryable): Promise<readonly Provider[]> {
  const rows = await database.query<ProviderRow>(sql`
    select ${columns} from provider_profiles p where p.deleted_at is null order by p.name`)
  return rows.map(fromRow)
}

/** Living profiles only. */
export async function selectProviderById(database: Queryable, id: string): Promise<Provider | undefined> {
  const [row] = await database.query<ProviderRow>(sql`
    select ${columns} from provider_profiles p where p.id = ${id}::uuid and p.deleted_at is null`)
  return row && fromRow(row)
}

/** A profile, deleted or not, that nobody changes until the transaction ends. */
export async function selectProviderForShare(transaction: Queryable, id: string): Promise<Provider | undefined> {
  const [row] = await transaction.query<ProviderRow>(sql`
    select ${columns} from provider_profiles p where p.id = ${id}::uuid for share of p`)
  return row && fromRow(row)
}

/** By name or alias, case-insensitively. */
export async function selectProviderByName(database: Queryable, name: string): Promise<Provider | undefined> {
  const wanted = normaliseAlias(name)
  const [row] = await database.query<ProviderRow>(sql`
    select ${columns}
      from provider_profiles p
     where p.deleted_at is null
       and (p.name = ${wanted}::text
            or p.id = (select a.provider_id from provider_aliases a where a.alias = ${wanted}::text))`)
  return row && fromRow(row)
}

/** Deleted ones too: their connections keep working. The secret lives in the caller's hands for one exchange. */
export async function selectProviderWithSecret(
  database: Queryable,
  vault: SecretVault,
  id: string,
): Promise<OpenedProvider | undefined> {
  const [row] = await database.query<
    ProviderRow & {
      readonly client_secret: Buffer | null
      readonly client_secret_version: number
      readonly key_id: Buffer | null
      readonly rotates: boolean
    }
  >(sql`
    select ${columns}, p.client_secret, p.client_secret_version, p.key_id, p.rotates
      from provider_profiles p where p.id = ${id}::uuid`)
  if (!row) return undefined
  const { client_secret: sealed, client_secret_version: version, key_id: keyId } = row
  const clientSecret = sealed === null ? undefined : vault.open(sealed, secretContext(id, version), keyId)
  const provider = fromRow(row)
  if (isStatic(provider)) throw new Error(`the profile ${id} has no client`)
  return { provider, clientSecret, rotates: row.rotates }
}

function secretContext(id: string, version: number) {
  return { purpose: 'client-secret', recordId: id, version } as const
}

/** One save at a time: names, aliases and shared callback paths are decided over all profiles together. */
export async function lockProfiles(transaction: Queryable): Promise<void> {
  await transaction.query(sql`select pg_advisory_xact_lock(hashtext('nexus:provider-profiles'))`)
}

export type ProviderWrite = {
  readonly id: string
  readonly name: string
  readonly zones: readonly string[]
  readonly settings: ProfileSettings
}

/** @throws pg's unique violation on `provider_profiles_living_name`. */
export async function insertProvider(
  database: Queryable,
  vault: SecretVault,
  write: ProviderWrite,
  clientSecret: string | undefined,
): Promise<void> {
  const secret: Partial<SealedSecret> =
    clientSecret === undefined ? {} : vault.seal(clientSecret, secretContext(write.id, 1))
  await database.query(sql`
    insert into provider_profiles (id, name, auth_type, zones, settings, client_secret, client_secret_version, key_id)
    values (${write.id}::uuid, ${write.name}::text, ${write.settings.auth_type ?? 'oauth2'}::text, ${write.zones}::text[], ${JSON.stringify(write.settings)}::json,
            ${secret.sealed ?? null}::bytea, ${secret.sealed ? 1 : 0}::int, ${secret.keyId ?? null}::bytea)`)
}

/** Replaces all but the secret, if the profile still has the revision that was read. */
export async function updateProvider(database: Queryable, write: ProviderWrite, revision: number): Promise<boolean> {
  const rows = await database.query(sql`
    update provider_profiles
       set name = ${write.name}::text, zones = ${write.zones}::text[], settings = ${JSON.stringify(write.settings)}::json,
           revision = revision + 1, updated_at = now()
     where id = ${write.id}::uuid and revision = ${revision}::int and deleted_at is null
    returning id`)
  return rows.length === 1
}

/** Seals a new secret (or none) under the next version. The row must be locked by an update of this transaction. */
export async function updateClientSecret(
  transaction: Queryable,
  vault: SecretVault,
  id: string,
  clientSecret: string | undefined,
): Promise<void> {
  const [row] = await transaction.query<{ version: number }>(sql`
    select client_secret_version + 1 as version from provider_profiles where id = ${id}::uuid for update`)
  if (!row) return
  const secret: Partial<SealedSecret> =
    clientSecret === undefined ? {} : vault.seal(clientSecret, secretContext(id, row.version))
  await transaction.query(sql`
    update provider_profiles
       set client_secret = ${secret.sealed ?? null}::bytea, key_id = ${secret.keyId ?? null}::bytea,
           client_secret_version = ${row.version}::int
     where id = ${id}::uuid`)
}

/** @param alarm - null takes it back. @returns false where nothing changed. */
export async function updateAlarm(transaction: Queryable, id: string, alarm: string | null): Promise<boolean> {
  const rows = await transaction.query(sql`
    update provider_profiles
       set alarm = ${alarm}::text, alarm_since = case when ${alarm}::text is null then null else now() end
     where id = ${id}::uuid and (alarm is null) <> (${alarm}::text is null)
    returning 1`)
  return rows.length === 1
}

export async function markRotating(transaction: Queryable, id: string): Promise<void> {
  await transaction.query(sql`update provider_profiles set rotates = true where id = ${id}::uuid and not rotates`)
}

/**
 * Soft: what connections need of it stays, the name and the aliases are free again. One that is deleted already can only
 * be told to disconnect.
 * @returns its name; undefined where there is none to delete
 */
export async function markProviderDeleted(
  database: Queryable,
  id: string,
  disconnects: boolean,
): Promise<string | undefined> {
  const [row] = await database.query<{ name: string }>(sql`
    with gone as (
      update provider_profiles
         set deleted_at = coalesce(deleted_at, now()), revision = revision + 1,
             disconnect_requested_at = case when ${disconnects}::boolean then now() else disconnect_requested_at end
       where id = ${id}::uuid and (deleted_at is null or ${disconnects}::boolean)
      returning id, name
    ), freed as (
      delete from provider_aliases where provider_id in (select id from gone)
    )
    select name from gone`)
  return row?.name
}

/** Connections that are not over. */
export async function countLivingConnections(database: Queryable, id: string): Promise<number> {
  const [row] = await database.query<{ count: number }>(sql`
    select count(*)::int as count from connections
     where provider_id = ${id}::uuid and status in ('pending', 'active', 'attention_required')`)
  return row?.count ?? 0
}

/** @returns the aliases that belong to another profile: then nothing was written. */
export async function replaceAliases(
  transaction: Queryable,
  id: string,
  aliases: readonly string[],
): Promise<readonly string[]> {
  await transaction.query(sql`
    delete from provider_aliases where provider_id = ${id}::uuid and alias <> all (${aliases}::text[])`)
  await transaction.query(sql`
    insert into provider_aliases (alias, provider_id)
    select alias, ${id}::uuid from unnest(${aliases}::text[]) as alias
    on conflict do nothing`)
  const foreign = await transaction.query<{ alias: string }>(sql`
    select alias from provider_aliases where alias = any (${aliases}::text[]) and provider_id <> ${id}::uuid
    union
    select name from provider_profiles where name = any (${aliases}::text[]) and id <> ${id}::uuid and deleted_at is null`)
  return foreign.map(({ alias }) => alias)
}

/** True where another profile answers to this name by an alias. */
export async function isAliasOfAnother(database: Queryable, id: string, name: string): Promise<boolean> {
  const rows = await database.query(sql`
    select 1 from provider_aliases where alias = ${name}::text and provider_id <> ${id}::uuid`)
  return rows.length > 0
}

/**
 * Connections that ever got past `pending`, and tokens that are still to be revoked: from then on others rely on the name,
 * and what was granted would follow the profile wherever it leads.
 */
export async function hasConnections(database: Queryable, id: string): Promise<boolean> {
  const [row] = await database.query<{ found: boolean }>(sql`
    select exists (
      select from connections where provider_id = ${id}::uuid and status not in ('pending', 'failed', 'expired')
    ) or exists (select from revocations where provider_id = ${id}::uuid) as found`)
  return row?.found ?? false
}

/** True where a living OAuth profile other than this one exists (H6: they would share a callback path). */
export async function hasOtherProviders(database: Queryable, id: string): Promise<boolean> {
  const [row] = await database.query<{ found: boolean }>(sql`
    select exists (
      select from provider_profiles where deleted_at is null and id <> ${id}::uuid and auth_type = 'oauth2'
    ) as found`)
  return row?.found ?? false
}

/** A profile without issuer that has no callback path of its own, other than this one (H6). */
export async function selectSharedCallback(database: Queryable, id: string): Promise<string | undefined> {
  const [row] = await database.query<{ name: string }>(sql`
    select name from provider_profiles
     where deleted_at is null and id <> ${id}::uuid and auth_type = 'oauth2'
       and settings->>'distinct_redirect_uri' = 'false' and settings->>'issuer' is null
     limit 1`)
  return row?.name
}

/** A profile as the operator wrote it, for changes that name only a part of it. */
export async function selectStoredProfile(
  database: Queryable,
  id: string,
): Promise<{ readonly provider: Provider; readonly profile: Omit<ProviderProfileInput, 'client_secret'> } | undefined> {
  const [row] = await database.query<ProviderRow>(sql`
    select ${columns} from provider_profiles p where p.id = ${id}::uuid and p.deleted_at is null`)
  return (
    row && {
      provider: fromRow(row),
      profile: { ...row.settings, name: row.name, aliases: row.aliases, zones: row.zones },
    }
  )
}
