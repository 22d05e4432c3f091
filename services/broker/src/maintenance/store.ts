import type { Queryable } from '../db/database.ts'
import { sql } from '../db/sql.ts'

/** Writes down what already reads as expired. */
export async function expirePendingConnections(database: Queryable, limit: number): Promise<number> {
  const rows = await database.query(sql`
    update connections set status = 'expired', updated_at = now()
     where id in (select id from connections where status = 'pending' and pending_until <= now()
                   limit ${limit}::int for update skip locked)
    returning id`)
  return rows.length
}

/**
 * Connections that are over for so long, with their handshakes. What is still to be revoked of them lies elsewhere and
 * stays. Their age counts from what ended them: being asked for, or read, does not keep them.
 */
export async function purgeConnections(database: Queryable, afterDays: number, limit: number): Promise<number> {
  const rows = await database.query(sql`
    delete from connections
     where id in (
       select id from connections c
        where status in ('failed', 'expired', 'revoked') and updated_at < now() - make_interval(days => ${afterDays}::int)
          -- somebody may be on the way to reconnect it
          and not exists (select from handshakes h where h.connection_id = c.id and h.outcome is null
                             and h.expires_at > now() - interval '15 minutes')
        order by updated_at
        limit ${limit}::int
          for update skip locked)
    returning id`)
  return rows.length
}

/** Links nobody can open any more, and their attempts. A day of grace keeps late callbacks on a page that explains. */
export async function deleteExpiredHandshakes(database: Queryable, limit: number): Promise<number> {
  const rows = await database.query(sql`
    delete from handshakes
     where id in (select id from handshakes where expires_at < now() - interval '1 day'
                   limit ${limit}::int for update skip locked)
    returning id`)
  return rows.length
}

export async function deleteOldIdempotencyKeys(database: Queryable, limit: number): Promise<number> {
  const rows = await database.query(sql`
    delete from idempotency_keys
     where (caller, key_hash) in (select caller, key_hash from idempotency_keys
                                   where created_at < now() - interval '24 hours'
                                   limit ${limit}::int for update skip locked)
    returning caller`)
  return rows.length
}

/** Secrets of attempts that are over: they open nothing any more, and a dump should not have them (H5). */
export async function forgetAttemptSecrets(database: Queryable, limit: number): Promise<number> {
  const rows = await database.query(sql`
    update handshake_attempts set secrets = null, key_id = null
     where id in (select id from handshake_attempts where secrets is not null and expires_at < now()
                   limit ${limit}::int for update skip locked)
    returning id`)
  return rows.length
}

/** For a minute, if nobody else holds it; for another minute, if `owner` does. */
export async function claimLease(database: Queryable, job: string, owner: string): Promise<boolean> {
  const rows = await database.query(sql`
    insert into maintenance_leases as held (job, owner, leased_until)
    values (${job}::text, ${owner}::uuid, now() + interval '1 minute')
    on conflict (job) do update set owner = excluded.owner, leased_until = excluded.leased_until
     where held.owner = excluded.owner or held.leased_until <= now()
    returning job`)
  return rows.length === 1
}

export async function releaseLease(database: Queryable, job: string, owner: string): Promise<void> {
  await database.query(sql`delete from maintenance_leases where job = ${job}::text and owner = ${owner}::uuid`)
}
