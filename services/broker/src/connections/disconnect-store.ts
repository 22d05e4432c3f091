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

/** Removed profiles whose connections are to be disconnected. */
export async function selectProvidersToDisconnect(database: Queryable): Promise<readonly string[]> {
  const rows = await database.query<{ id: string }>(sql`
    select id from provider_profiles where disconnect_requested_at is not null order by disconnect_requested_at, id`)
  return rows.map(({ id }) => id)
}

export type LivingConnection = { readonly id: string; readonly createdAt: string }

/** The next connections of a profile that are neither over nor revoked, in the order of creation. */
export async function selectLivingConnections(
  database: Queryable,
  providerId: string,
  after: LivingConnection | undefined,
  limit: number,
): Promise<readonly LivingConnection[]> {
  return database.query<LivingConnection>(sql`
    select c.id, c.created_at::text as "createdAt"
      from connections c
     where c.provider_id = ${providerId}::uuid and ${living}
       and (${after?.createdAt ?? null}::timestamptz is null
            or (c.created_at, c.id) > (${after?.createdAt ?? null}::timestamptz, ${after?.id ?? null}::uuid))
     order by c.created_at, c.id
     limit ${limit}::int`)
}

/** Nothing of a removed profile is left to disconnect: nothing new can come, since it starts no handshakes. */
export async function clearDisconnectRequest(database: Queryable, providerId: string): Promise<void> {
  await database.query(sql`
    update provider_profiles p set disconnect_requested_at = null
     where p.id = ${providerId}::uuid
       and not exists (select from connections c where c.provider_id = p.id and ${living})`)
}
