import type { Queryable } from '../db/database.ts'
import { sql } from '../db/sql.ts'

/** Writes down what already reads as expired. */
export async function expirePendingConnections(database: Queryable): Promise<number> {
  const rows = await database.query(sql`
    update connections set status = 'expired', updated_at = now()
     where id in (select id from connections where status = 'pending' and pending_until <= now() limit 1000 for update skip locked)
    returning id`)
  return rows.length
}

/**
 * Connections that are over for so long, with their handshakes. What is still to be revoked of them lies elsewhere and
 * stays. Their age counts from what ended them: being asked for, or read, does not keep them.
 */
export async function purgeConnections(database: Queryable, afterDays: number): Promise<number> {
  const rows = await database.query(sql`
    delete from connections
     where id in (
       select id from connections
        where status in ('failed', 'expired', 'revoked') and updated_at < now() - make_interval(days => ${afterDays}::int)
        order by updated_at
        limit 1000
          for update skip locked)
    returning id`)
  return rows.length
}

/** Links nobody can open any more, and their attempts. A day of grace keeps late callbacks on a page that explains. */
export async function deleteExpiredHandshakes(database: Queryable): Promise<number> {
  const rows = await database.query(sql`
    delete from handshakes
     where id in (select id from handshakes where expires_at < now() - interval '1 day' limit 1000 for update skip locked)
    returning id`)
  return rows.length
}

export async function deleteOldIdempotencyKeys(database: Queryable): Promise<number> {
  const rows = await database.query(sql`
    delete from idempotency_keys where created_at < now() - interval '24 hours' returning caller`)
  return rows.length
}

/** Secrets of attempts that are over: they open nothing any more, and a dump should not have them (H5). */
export async function forgetAttemptSecrets(database: Queryable): Promise<number> {
  const rows = await database.query(sql`
    update handshake_attempts set secrets = null, key_id = null
     where secrets is not null and expires_at < now()
    returning id`)
  return rows.length
}
