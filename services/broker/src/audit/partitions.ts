import type { Database, Queryable } from '../db/database.ts'
import { sql } from '../db/sql.ts'

type Partition = { readonly name: string; readonly from: Date; readonly to: Date }

const monthsAhead = 3
const daysAhead = 14
const dayMs = 86_400_000

/**
 * Makes the partitions of this month and the next three, and of today and the next fourteen days (data.md, Audit).
 * `create … like` and then `attach` takes no lock that an insert would wait for; `create … partition of` would.
 * Many Brokers may do it at once: an advisory lock lets one pass at a time, and what exists is skipped.
 */
export async function ensurePartitions(database: Database): Promise<readonly string[]> {
  return database.transaction(async (transaction) => {
    await transaction.query(sql`set local lock_timeout = '2s'`)
    await transaction.query(sql`select pg_advisory_xact_lock(hashtext('nexus:audit-partitions'))`)
    const now = await readDatabaseTime(transaction)
    const existing = await listPartitions(transaction)
    const made: string[] = []
    for (const [parent, partitions] of wantedPartitions(now)) {
      for (const partition of partitions) {
        if (existing.has(partition.name)) continue
        await createPartition(transaction, parent, partition)
        made.push(partition.name)
      }
    }
    return made
  })
}

/** Whole days from now on for which both tables have partitions. */
export async function countDaysAhead(database: Queryable): Promise<number> {
  const now = await readDatabaseTime(database)
  const existing = await listPartitions(database)
  let days = 0
  while (days <= daysAhead) {
    const day = new Date(startOfDay(now).getTime() + days * dayMs)
    if (!existing.has(dayPartition(day).name) || !existing.has(monthPartition(day).name)) break
    days += 1
  }
  return days - 1
}

/** The partitions that should exist at `now`, by parent table. */
export function wantedPartitions(now: Date): readonly (readonly [string, readonly Partition[]])[] {
  return [
    ['audit_events', Array.from({ length: monthsAhead + 1 }, (_, n) => monthPartition(addMonths(now, n)))],
    [
      'audit_reads',
      Array.from({ length: daysAhead + 1 }, (_, n) => dayPartition(new Date(startOfDay(now).getTime() + n * dayMs))),
    ],
  ]
}

function startOfDay(at: Date): Date {
  return new Date(Date.UTC(at.getUTCFullYear(), at.getUTCMonth(), at.getUTCDate()))
}
function addMonths(at: Date, months: number): Date {
  return new Date(Date.UTC(at.getUTCFullYear(), at.getUTCMonth() + months))
}

function monthPartition(at: Date): Partition {
  const from = addMonths(at, 0)
  return { name: `audit_events_${stamp(from, 7)}`, from, to: addMonths(at, 1) }
}

function dayPartition(at: Date): Partition {
  const from = startOfDay(at)
  return { name: `audit_reads_${stamp(from, 10)}`, from, to: new Date(from.getTime() + dayMs) }
}

function stamp(at: Date, length: 7 | 10): string {
  return at.toISOString().slice(0, length).replaceAll('-', '_')
}

async function readDatabaseTime(database: Queryable): Promise<Date> {
  const rows = await database.query<{ now: Date }>(sql`select now() as now`)
  return rows[0]?.now ?? new Date(Number.NaN)
}

async function listPartitions(database: Queryable): Promise<ReadonlySet<string>> {
  const rows = await database.query<{ name: string }>(sql`
    select child.relname as name
      from pg_inherits
      join pg_class child on child.oid = pg_inherits.inhrelid
     where pg_inherits.inhparent in ('audit_events'::regclass, 'audit_reads'::regclass)`)
  return new Set(rows.map(({ name }) => name))
}

// identifiers and bounds cannot be parameters of DDL; these are made of digits and our own constants
async function createPartition(transaction: Queryable, parent: string, { name, from, to }: Partition): Promise<void> {
  await transaction.query({ text: `create table if not exists ${name} (like ${parent} including all)`, values: [] })
  await transaction.query({
    text: `alter table ${parent} attach partition ${name} for values from ('${from.toISOString()}') to ('${to.toISOString()}')`,
    values: [],
  })
}
