import { isAppError } from '@nexus/service'
import type { Queryable } from '../db/database.ts'
import { fragment, sql } from '../db/sql.ts'
import type { SecretVault } from '../vault/secret-vault.ts'
import { type CredentialSet, openCredentials } from './credential-set.ts'

const living = fragment`c.status in ('pending', 'active', 'attention_required')`

export type RemovedToken =
  | { readonly kind: 'none' }
  | { readonly kind: 'opened'; readonly version: number; readonly credentials: CredentialSet }
  /** It is gone without having been read: nobody can revoke it. */
  | { readonly kind: 'unreadable'; readonly version: number; readonly reason: string }

/** Takes the secrets out of the vault, whether they open or not. Every refresh in flight finds no row to write to. */
export async function deleteToken(
  transaction: Queryable,
  vault: SecretVault,
  connectionId: string,
): Promise<RemovedToken> {
  const [row] = await transaction.query<{
    readonly sealed: Buffer
    readonly keyId: Buffer
    readonly version: number
  }>(sql`
    delete from tokens where connection_id = ${connectionId}::uuid
    returning credentials as "sealed", key_id as "keyId", version`)
  if (row === undefined) return { kind: 'none' }
  const { version } = row
  try {
    return { kind: 'opened', version, credentials: openCredentials(vault, connectionId, version, row) }
  } catch (error) {
    if (isAppError(error)) return { kind: 'unreadable', version, reason: error.code }
    throw error
  }
}

export type RevokedConnection = {
  readonly zone: string
  readonly providerId: string
  /** The profile does not forbid to ask the provider. */
  readonly isProviderAsked: boolean
}

/** Any status → revoked. undefined: there is no such connection, or it was revoked before. */
export async function updateToRevoked(transaction: Queryable, id: string): Promise<RevokedConnection | undefined> {
  const [row] = await transaction.query<RevokedConnection>(sql`
    update connections c set status = 'revoked', status_reason = 'disconnected', updated_at = now()
      from provider_profiles p
     where c.id = ${id}::uuid and c.status <> 'revoked' and p.id = c.provider_id
    returning c.zone, c.provider_id as "providerId",
              coalesce(p.settings->>'revocation', '') <> 'none' as "isProviderAsked"`)
  return row
}

/** Since when a connection is revoked, to the microsecond; null: it is not; undefined: there is none. */
export async function selectRevokedSince(database: Queryable, id: string): Promise<string | null | undefined> {
  const [row] = await database.query<{ since: string | null }>(sql`
    select case when status = 'revoked' then updated_at::text end as since from connections where id = ${id}::uuid`)
  return row?.since
}

/** What was removed, and takes its connections along: a profile by its id, or a zone by its name. */
export type Removed = { readonly kind: 'provider' | 'zone'; readonly id: string }

/** Removed profiles and zones whose connections are to be disconnected. */
export function selectRemoved(database: Queryable): Promise<readonly Removed[]> {
  return database.query<Removed>(sql`
    select kind, id
      from (select 'provider' as kind, id::text, disconnect_requested_at as at from provider_profiles
            union all
            select 'zone', name, disconnect_requested_at from zones) as removed
     where at is not null
     order by at, id`)
}

/**
 * Of a removed zone also those that a link which is out could bring back: nobody would see them, nor would they be
 * disconnected any more. A removed profile takes no grant, whatever links are out.
 */
const isLeft = ({ kind }: Removed) =>
  kind === 'provider'
    ? living
    : fragment`(${living} or c.status <> 'revoked' and exists (
        select from handshakes h where h.connection_id = c.id and h.purpose = 'reconnect' and h.outcome is null))`

/** A zone may have been made anew since it was found removed: what is connected in it then is nobody's to disconnect. */
const partOf = ({ kind, id }: Removed) =>
  kind === 'provider'
    ? fragment`c.provider_id = ${id}::uuid`
    : fragment`(c.zone = ${id}::text and exists (select from zones z where z.name = c.zone and z.removed_at is not null))`

export type ConnectionLeft = { readonly id: string; readonly createdAt: string }

/** The next connections of it that are left to disconnect, in the order of creation. */
export async function selectConnectionsLeft(
  database: Queryable,
  removed: Removed,
  after: ConnectionLeft | undefined,
  limit: number,
): Promise<readonly ConnectionLeft[]> {
  return database.query<ConnectionLeft>(sql`
    select c.id, c.created_at::text as "createdAt"
      from connections c
     where ${partOf(removed)} and ${isLeft(removed)}
       and (${after?.createdAt ?? null}::timestamptz is null
            or (c.created_at, c.id) > (${after?.createdAt ?? null}::timestamptz, ${after?.id ?? null}::uuid))
     order by c.created_at, c.id
     limit ${limit}::int`)
}

/** Nothing is left of it to disconnect, and nothing new can come: nobody starts a handshake with it or in it. */
export async function clearDisconnectRequest(database: Queryable, removed: Removed): Promise<void> {
  const isDone = fragment`not exists (select from connections c where ${partOf(removed)} and ${isLeft(removed)})`
  await database.query(
    removed.kind === 'provider'
      ? sql`update provider_profiles set disconnect_requested_at = null where id = ${removed.id}::uuid and ${isDone}`
      : sql`update zones set disconnect_requested_at = null where name = ${removed.id}::text and ${isDone}`,
  )
}
