import type { Queryable } from '../db/database.ts'
import { type Sql, fragment, sql } from '../db/sql.ts'

const isOver = fragment`('failed', 'expired', 'revoked')`

// A row lets in ever new ones who share it, whoever waits to have it alone; of an advisory lock everybody gets their turn
const queueOf = (name: Sql) => fragment`hashtext('nexus:zone:' || ${name})`

/**
 * Of these names, those of zones that are there; they stay until the transaction ends. In the order of names, so that nobody
 * waits in a circle.
 */
export async function selectZonesForShare(
  transaction: Queryable,
  names: readonly string[],
): Promise<ReadonlySet<string>> {
  const rows = await transaction.query<{ name: string }>(sql`
    with queued as materialized (
      select pg_advisory_xact_lock_shared(${queueOf(fragment`wanted.name`)})
        from (select name from unnest(${names}::text[]) as n (name) order by name) as wanted
    )
    -- a row that changed before this turn is looked at anew
    select name from zones
     where (select count(*) from queued) > 0 and name = any (${names}::text[]) and removed_at is null
     order by name
       for share`)
  return new Set(rows.map(({ name }) => name))
}

/** Waits for whoever makes the first zones. @returns whether there is none but root */
export async function hasOnlyRoot(transaction: Queryable): Promise<boolean> {
  await transaction.query(sql`select pg_advisory_xact_lock(hashtext('nexus:first-zones'))`)
  const rows = await transaction.query(sql`select from zones where name <> 'root' limit 1`)
  return rows.length === 0
}

/** @returns those that were not there */
export async function insertZones(transaction: Queryable, names: readonly string[]): Promise<readonly string[]> {
  const rows = await transaction.query<{ name: string }>(sql`
    insert into zones (name) select name from unnest(${names}::text[]) as n (name) on conflict (name) do nothing
    returning name`)
  return rows.map(({ name }) => name)
}

/**
 * Takes up the name of a removed zone of which nothing is left that a newcomer could see: no connection, and no profile that
 * was for it. One that was written since means the zone that is to come.
 */
export async function reviveZone(transaction: Queryable, name: string): Promise<boolean> {
  const rows = await transaction.query(sql`
    update zones z set removed_at = null, disconnect_requested_at = null, created_at = now()
     where z.name = ${name}::text and z.removed_at is not null
       and not exists (select from connections c where c.zone = z.name)
       and not exists (select from provider_profiles p
                        where p.deleted_at is null and z.name = any (p.zones) and p.updated_at <= z.removed_at)
    returning z.name`)
  return rows.length === 1
}

/** Of a removed zone what keeps its name; undefined: it is not removed. */
export async function selectRemains(
  database: Queryable,
  name: string,
): Promise<{ readonly hasConnections: boolean } | undefined> {
  const [row] = await database.query<{ hasConnections: boolean }>(sql`
    select exists (select from connections c where c.zone = z.name) as "hasConnections"
      from zones z
     where z.name = ${name}::text and z.removed_at is not null`)
  return row
}

export type StoredZone = {
  readonly name: string
  readonly createdAt: Date
  readonly connections: number
}

const columns = fragment`
  z.name as "name", z.created_at as "createdAt",
  (select count(*)::int from connections c where c.zone = z.name and c.status not in ${isOver}) as "connections"`

export type ZoneFilter = {
  /** undefined: all. */
  readonly names: readonly string[] | undefined
  readonly after: string | undefined
  readonly limit: number
}

/** One page, by name. */
export function selectZones(database: Queryable, { names, after, limit }: ZoneFilter): Promise<readonly StoredZone[]> {
  return database.query<StoredZone>(sql`
    select ${columns}
      from zones z
     where z.removed_at is null
       and (${names ?? null}::text[] is null or z.name = any (${names ?? null}::text[]))
       and (${after ?? null}::text is null or z.name > ${after ?? null}::text)
     order by z.name
     limit ${limit}::int`)
}

/** Waits for whoever makes something in the zone by now, and keeps others from it. */
export async function lockZone(transaction: Queryable, name: string): Promise<boolean> {
  const rows = await transaction.query(sql`
    with queued as materialized (select pg_advisory_xact_lock(${queueOf(fragment`${name}::text`)}))
    select from zones
     where (select count(*) from queued) > 0 and name = ${name}::text and removed_at is null
       for update`)
  return rows.length === 1
}

export async function countLivingConnections(transaction: Queryable, name: string): Promise<number> {
  const [row] = await transaction.query<{ count: number }>(sql`
    select count(*)::int as count from connections c where c.zone = ${name}::text and c.status not in ${isOver}`)
  return row?.count ?? 0
}

/** What is left in it is disconnected in the background. */
export async function updateToRemoved(transaction: Queryable, name: string): Promise<void> {
  await transaction.query(sql`
    update zones set removed_at = now(), disconnect_requested_at = now() where name = ${name}::text`)
}

/** Of these names, those of no zone that is there. */
export async function selectMissing(database: Queryable, names: readonly string[]): Promise<readonly string[]> {
  const rows = await database.query<{ name: string }>(sql`
    select name from unnest(${names}::text[]) as n (name)
     where not exists (select from zones z where z.name = n.name and z.removed_at is null)
     order by name`)
  return rows.map(({ name }) => name)
}

export async function countZones(database: Queryable): Promise<number> {
  const [row] = await database.query<{ count: number }>(sql`
    select count(*)::int as count from zones where removed_at is null`)
  return row?.count ?? 0
}
