import type { Queryable } from '../db/database.ts'
import { sql } from '../db/sql.ts'

// Notices are dated by clock_timestamp(), not by the begin of their transactions: two that change the same row come one
// after the other, but the one that had to wait for the lock began first, and would pass for the older (now()).
export async function insertConnectionNotice(
  transaction: Queryable,
  id: string,
  type: string,
  connectionId: string,
): Promise<void> {
  await transaction.query(sql`
    insert into notices (id, type, created_at, data)
    select ${id}::uuid, ${type}::text, clock_timestamp(),
           jsonb_build_object('connection_id', c.id, 'zone', c.zone, 'workspace_id', c.workspace_id, 'provider', p.name,
                              'status', c.status, 'status_reason', c.status_reason)
      from connections c
      join provider_profiles p on p.id = c.provider_id
     where c.id = ${connectionId}::uuid`)
}

export async function insertProviderNotice(
  transaction: Queryable,
  id: string,
  type: string,
  providerId: string,
): Promise<void> {
  await transaction.query(sql`
    insert into notices (id, type, created_at, data)
    select ${id}::uuid, ${type}::text, clock_timestamp(),
           jsonb_build_object('provider_id', p.id, 'provider', p.name, 'reason', p.alarm)
      from provider_profiles p
     where p.id = ${providerId}::uuid`)
}

export type ClaimedNotice = {
  readonly id: string
  readonly type: string
  readonly data: Readonly<Record<string, unknown>>
  /** When it came to be: RFC 3339 with microseconds, so that texts compare as times do. */
  readonly created_at: string
  /** Seconds since 1970, by the database's clock: when it was claimed. */
  readonly claimed_at: number
  /** Counts the claims, this one included; who acts on an older count was overtaken. */
  readonly attempts: number
  /** Its day is over. */
  readonly is_last: boolean
}

/**
 * Takes what is due, the longest waiting first. Nobody else gets it for `leaseSeconds`; whoever dies meanwhile leaves it to
 * the others. A notice is tried once more when its day is over, so that none is dropped after an outage without a try.
 */
export async function claimDueNotices(
  database: Queryable,
  batchSize: number,
  leaseSeconds: number,
): Promise<readonly ClaimedNotice[]> {
  return database.query<ClaimedNotice>(sql`
    with due as (
      select id from notices
       where next_attempt_at <= now()
       order by next_attempt_at, id
       limit ${batchSize}::int
         for update skip locked
    )
    update notices n
       set attempts = n.attempts + 1, next_attempt_at = now() + make_interval(secs => ${leaseSeconds}::float8)
      from due
     where n.id = due.id
    returning n.id, n.type, n.data, n.attempts,
              to_char(n.created_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') as created_at,
              floor(extract(epoch from now()))::float8 as claimed_at,
              n.created_at <= now() - interval '1 day' as is_last`)
}

export async function deleteDelivered(database: Queryable, id: string): Promise<void> {
  await database.query(sql`delete from notices where id = ${id}::uuid`)
}

/** Lets go of a claimed notice until later, unless somebody claimed it since. */
export async function postponeNotice(
  database: Queryable,
  { id, attempts }: Pick<ClaimedNotice, 'id' | 'attempts'>,
  seconds: number,
): Promise<void> {
  await database.query(sql`
    update notices set next_attempt_at = now() + make_interval(secs => ${seconds}::float8)
     where id = ${id}::uuid and attempts = ${attempts}::int`)
}

/** @returns false if somebody claimed it since. */
export async function deleteUndeliverable(
  transaction: Queryable,
  { id, attempts }: Pick<ClaimedNotice, 'id' | 'attempts'>,
): Promise<boolean> {
  const rows = await transaction.query(sql`
    delete from notices where id = ${id}::uuid and attempts = ${attempts}::int returning id`)
  return rows.length > 0
}

export type OutdatedNotice = Pick<ClaimedNotice, 'id' | 'type' | 'data' | 'attempts'>

export async function deleteOutdated(transaction: Queryable, limit: number): Promise<readonly OutdatedNotice[]> {
  return transaction.query<OutdatedNotice>(sql`
    with outdated as (
      select id from notices where created_at <= now() - interval '1 day' limit ${limit}::int for update skip locked
    )
    delete from notices n using outdated where n.id = outdated.id
    returning n.id, n.type, n.data, n.attempts`)
}

export type WaitingNotices = { readonly waiting: number; readonly oldest_age_seconds: number }

export async function measureWaiting(database: Queryable): Promise<WaitingNotices> {
  const [row] = await database.query<WaitingNotices>(sql`
    select count(*)::int as waiting,
           coalesce(extract(epoch from now() - min(created_at)), 0)::float8 as oldest_age_seconds
      from notices`)
  return row ?? { waiting: 0, oldest_age_seconds: 0 }
}
