import type { Queryable } from '../db/database.ts'
import { sql } from '../db/sql.ts'

export type RegisteredKey = { readonly keyId: string; readonly canary: Buffer; readonly isRetired: boolean }

export async function selectKeys(database: Queryable): Promise<readonly RegisteredKey[]> {
  return database.query<RegisteredKey>(sql`
    select encode(key_id, 'hex') as "keyId", canary, retired_at is not null as "isRetired"
      from encryption_keys order by created_at`)
}

export async function insertKey(transaction: Queryable, keyId: string, canary: Buffer): Promise<void> {
  await transaction.query(sql`
    insert into encryption_keys (key_id, canary) values (decode(${keyId}::text, 'hex'), ${canary}::bytea)`)
}

/** Waits until nobody migrates or registers a first key; held until the transaction ends. */
export async function lockRegistration(transaction: Queryable, lockId: number): Promise<void> {
  await transaction.query(sql`select pg_advisory_xact_lock(${lockId}::bigint)`)
}

export type RowsByKey = { readonly keyId: string; readonly kind: string; readonly rows: number }

/** How many rows each key id seals, by kind of secret. */
export async function countRowsByKey(database: Queryable): Promise<readonly RowsByKey[]> {
  return database.query<RowsByKey>(sql`
    select encode(key_id, 'hex') as "keyId", kind, count(*)::int as rows
      from (
        select key_id, 'tokens' as kind from tokens
        union all select key_id, 'client secrets' from provider_profiles where key_id is not null
        union all select key_id, 'revocations owed' from revocations
        union all select key_id, 'handshakes under way' from handshake_attempts where key_id is not null
      ) sealed
     group by key_id, kind
     order by key_id, kind`)
}
