import type { Queryable } from '../db/database.ts'
import { sql } from '../db/sql.ts'

/** What a request with an Idempotency-Key made. */
export type IdempotentAnswer = {
  readonly connectionId: string
  /** Of a reconnect, the link that its first request made. */
  readonly handshakeId: string | undefined
  readonly bodyHash: Buffer
}

/** What an earlier request with this Idempotency-Key made within 24 hours. */
export async function selectIdempotent(
  transaction: Queryable,
  caller: string,
  keyHash: Buffer,
): Promise<IdempotentAnswer | undefined> {
  const [row] = await transaction.query<{ connectionId: string; handshakeId: string | null; bodyHash: Buffer }>(sql`
    select connection_id as "connectionId", handshake_id as "handshakeId", body_hash as "bodyHash"
      from idempotency_keys
     where caller = ${caller}::text and key_hash = ${keyHash}::bytea and created_at > now() - interval '24 hours'`)
  return row && { ...row, handshakeId: row.handshakeId ?? undefined }
}

/** @returns false where a living entry stands already: somebody was faster. */
export async function insertIdempotent(
  transaction: Queryable,
  entry: IdempotentAnswer & { readonly caller: string; readonly keyHash: Buffer },
): Promise<boolean> {
  const rows = await transaction.query(sql`
    insert into idempotency_keys as k (caller, key_hash, body_hash, connection_id, handshake_id)
    values (${entry.caller}::text, ${entry.keyHash}::bytea, ${entry.bodyHash}::bytea, ${entry.connectionId}::uuid,
            ${entry.handshakeId ?? null}::uuid)
    on conflict (caller, key_hash) do update
       set body_hash = excluded.body_hash, connection_id = excluded.connection_id,
           handshake_id = excluded.handshake_id, created_at = now()
     where k.created_at <= now() - interval '24 hours'
    returning 1`)
  return rows.length === 1
}
