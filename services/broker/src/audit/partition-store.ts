import type { Queryable } from '../db/database.ts'
import { sql } from '../db/sql.ts'
import type { AuditTable, Partition } from './partition-calendar.ts'

// Identifiers and bounds cannot be parameters of DDL. The names in it are the calendar's, the schema comes quoted.

/**
 * The schema of the audit tables, quoted. Partitions are made and looked for there and nowhere else: a search_path may
 * name others before it.
 */
export async function readAuditSchema(database: Queryable): Promise<string> {
  const rows = await database.query<{ schema: string }>(sql`
    select quote_ident(n.nspname) as schema
      from pg_class c join pg_namespace n on n.oid = c.relnamespace
     where c.oid = 'audit_events'::regclass`)
  if (rows[0] === undefined) throw new Error('audit_events has no schema')
  return rows[0].schema
}

export async function readDatabaseTime(database: Queryable): Promise<Date> {
  const rows = await database.query<{ now: Date }>(sql`select now() as now`)
  return rows[0]?.now ?? new Date(Number.NaN)
}

export type StoredPartition = {
  readonly table: AuditTable
  readonly name: string
  /** `detaching`: a detach was begun and did not end. */
  readonly state: 'attached' | 'detaching'
  /** The first moment after it, as the catalog has it. */
  readonly until: Date | null
}

/** What is attached to the audit tables, whoever made it. */
export function selectPartitions(database: Queryable): Promise<readonly StoredPartition[]> {
  return database.query<StoredPartition>(sql`
    select parent.relname as "table", child.relname as name,
           case when i.inhdetachpending then 'detaching' else 'attached' end as state,
           (substring(pg_get_expr(child.relpartbound, child.oid) from 'TO [(]''([0-9][^'']*)''[)]'))::timestamptz as until
      from pg_inherits i
      join pg_class parent on parent.oid = i.inhparent
      join pg_class child on child.oid = i.inhrelid
     where i.inhparent in ('audit_events'::regclass, 'audit_reads'::regclass)
     order by until, child.relname`)
}

/** Waits for whoever changes the partitions, and keeps others from it. Rows go in and out as before. */
export async function lockPartitioning(transaction: Queryable): Promise<void> {
  await transaction.query(sql`lock table only audit_events, only audit_reads in share update exclusive mode`)
}

/** For DDL inside a transaction: who waits for a lock in vain gives up before others queue behind it. */
export async function limitLockWaits(transaction: Queryable): Promise<void> {
  await transaction.query(sql`set local lock_timeout = '2s'`)
}

/** `create … like` and then `attach` takes no lock that an insert would wait for; `create … partition of` would. */
export async function createPartition(transaction: Queryable, schema: string, partition: Partition): Promise<void> {
  const { table, name, from, to } = partition
  await transaction.query(ddl(`create table if not exists ${schema}.${name} (like ${schema}.${table} including all)`))
  await transaction.query(
    ddl(`alter table ${schema}.${table} attach partition ${schema}.${name}
           for values from ('${from.toISOString()}') to ('${to.toISOString()}')`),
  )
}

// Retention. The mark says that we detach a table in order to drop it; one that an operator detached to keep has none.
const mark = 'nexus: over, detached in order to be dropped'

export async function markPartition(transaction: Queryable, schema: string, { name }: Named): Promise<void> {
  await transaction.query(ddl(`comment on table ${schema}.${name} is '${mark}'`))
}

/**
 * Takes a partition out without a lock that an insert or a read would wait for. PostgreSQL refuses it inside a
 * transaction: it commits half-way, waits for those who may still see the partition, and leaves it `detaching` if it is
 * interrupted there.
 */
export async function detachPartition(database: Queryable, schema: string, { table, name }: Named): Promise<void> {
  await database.query(ddl(`alter table ${schema}.${table} detach partition ${schema}.${name} concurrently`))
}

/** Ends a detach that was interrupted. */
export async function finalizePartition(transaction: Queryable, schema: string, { table, name }: Named): Promise<void> {
  await transaction.query(ddl(`alter table ${schema}.${table} detach partition ${schema}.${name} finalize`))
}

/** Names of tables that we detached and did not drop. */
export async function selectDetached(database: Queryable): Promise<readonly string[]> {
  const rows = await database.query<{ name: string }>(sql`
    select c.relname as name
      from pg_class c
     where c.relnamespace = (select relnamespace from pg_class where oid = 'audit_events'::regclass)
       and c.relkind = 'r' and not exists (select from pg_inherits where c.oid in (inhrelid, inhparent))
       and obj_description(c.oid, 'pg_class') = ${mark}::text
     order by c.relname`)
  return rows.map(({ name }) => name)
}

/** Locks a table alone. Dropping one that is attached after all would lock the audit table above it. */
export async function lockTable(transaction: Queryable, schema: string, { name }: Named): Promise<void> {
  await transaction.query(ddl(`lock table only ${schema}.${name} in access exclusive mode`))
}

export async function dropTable(transaction: Queryable, schema: string, { name }: Named): Promise<void> {
  await transaction.query(ddl(`drop table ${schema}.${name}`))
}

type Named = Pick<Partition, 'table' | 'name'>

function ddl(text: string) {
  return { text, values: [] }
}
