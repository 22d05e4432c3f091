import type { Queryable } from '../db/database.ts'
import { sql } from '../db/sql.ts'
import type { RowPurpose, SealedKind } from './sealed-kinds.ts'

export type RegisteredKey = {
  readonly keyId: string
  readonly canary: Buffer
  readonly registeredAt: Date
  readonly retiredAt: Date | null
}

/** Oldest first. */
export async function selectKeys(database: Queryable): Promise<readonly RegisteredKey[]> {
  return database.query<RegisteredKey>(sql`
    select encode(key_id, 'hex') as "keyId", canary, created_at as "registeredAt", retired_at as "retiredAt"
      from encryption_keys order by created_at, key_id`)
}

/** Registered at the time of the statement: of two keys in one transaction the second one is the newer. */
export async function insertKey(transaction: Queryable, keyId: string, canary: Buffer): Promise<void> {
  await transaction.query(sql`
    insert into encryption_keys (key_id, canary, created_at)
    values (decode(${keyId}::text, 'hex'), ${canary}::bytea, clock_timestamp())`)
}

/** A retired key that may seal again is registered anew: from now on it is the newest. */
export async function updateKeyToRegistered(transaction: Queryable, keyId: string): Promise<void> {
  await transaction.query(sql`
    update encryption_keys set retired_at = null, created_at = clock_timestamp()
     where key_id = decode(${keyId}::text, 'hex')`)
}

export async function retireKey(transaction: Queryable, keyId: string): Promise<void> {
  await transaction.query(sql`
    update encryption_keys set retired_at = now() where key_id = decode(${keyId}::text, 'hex') and retired_at is null`)
}

/** Retires what was registered before the key that seals. A newer one may be about to take its place. */
export async function retireKeysBefore(transaction: Queryable, primaryId: string): Promise<readonly string[]> {
  const rows = await transaction.query<{ keyId: string }>(sql`
    update encryption_keys set retired_at = now()
     where retired_at is null
       and created_at < (select created_at from encryption_keys where key_id = decode(${primaryId}::text, 'hex'))
       and key_id <> decode(${primaryId}::text, 'hex')
    returning encode(key_id, 'hex') as "keyId"`)
  return rows.map(({ keyId }) => keyId)
}

/** Waits until nobody migrates or registers a key; held until the transaction ends. */
export async function lockRegistration(transaction: Queryable, lockId: number): Promise<void> {
  await transaction.query(sql`select pg_advisory_xact_lock(${lockId}::bigint)`)
}

/**
 * The ids of all keys that rows of a kind were sealed with. It jumps from one id to the next in the index, so that a
 * million rows of one key are one step.
 */
export async function selectKeyIdsInUse(database: Queryable, kind: SealedKind): Promise<readonly string[]> {
  const rows = await database.query<{ keyId: string }>(sql`
    with recursive used as (
      (select key_id from ${kind.table} where key_id is not null order by key_id limit 1)
      union all
      select (select next.key_id from ${kind.table} next where next.key_id > used.key_id order by next.key_id limit 1)
        from used
       where used.key_id is not null
    )
    select encode(key_id, 'hex') as "keyId" from used where key_id is not null`)
  return rows.map(({ keyId }) => keyId)
}

export type RowsByKey = { readonly keyId: string; readonly purpose: RowPurpose; readonly rows: number }

/** How many rows each key id seals, by kind of secret. @param among - only of these key ids. */
export async function countRowsByKey(database: Queryable, among?: readonly string[]): Promise<readonly RowsByKey[]> {
  const wanted = among?.map((keyId) => Buffer.from(keyId, 'hex')) ?? null
  return database.query<RowsByKey>(sql`
    select encode(key_id, 'hex') as "keyId", purpose, count(*)::int as rows
      from (
        select key_id, 'client-secret' as purpose from provider_profiles
        union all select key_id, 'handshake-attempt' from handshake_attempts
        union all select key_id, 'revocation' from revocations
        union all select key_id, 'token' from tokens
      ) sealed
     where key_id is not null and (${wanted}::bytea[] is null or key_id = any (${wanted}::bytea[]))
     group by key_id, purpose
     order by key_id, purpose`)
}
