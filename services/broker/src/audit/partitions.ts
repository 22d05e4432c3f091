import type { Database, Queryable } from '../db/database.ts'
import { addDays, daysAhead, dayPartition, monthPartition, wantedPartitions } from './partition-calendar.ts'
import * as store from './partition-store.ts'

/**
 * Makes the partitions of this month and the next three, and of today and the next fourteen days (data.md, Audit).
 *
 * Many Brokers may do it at once: the lock lets one pass at a time, and what exists is skipped. It is the one that
 * attaching needs, taken before anything else: nobody waits for it who holds what another waiter needs.
 * @returns the names of those that it made
 */
export async function ensurePartitions(database: Database): Promise<readonly string[]> {
  if ((await listMissing(database)).length === 0) return []
  return database.transaction(async (transaction) => {
    await store.limitLockWaits(transaction)
    await store.lockPartitioning(transaction)
    const missing = await listMissing(transaction)
    const schema = await store.readAuditSchema(transaction)
    for (const partition of missing) await store.createPartition(transaction, schema, partition)
    return missing.map(({ name }) => name)
  })
}

/** Whole days from now on for which both tables have partitions. */
export async function countDaysAhead(database: Queryable): Promise<number> {
  const now = await store.readDatabaseTime(database)
  const existing = await listNames(database)
  let days = 0
  while (days <= daysAhead) {
    const day = addDays(now, days)
    if (!existing.has(dayPartition(day).name) || !existing.has(monthPartition(day).name)) break
    days += 1
  }
  return days - 1
}

async function listMissing(database: Queryable) {
  const now = await store.readDatabaseTime(database)
  const existing = await listNames(database)
  return wantedPartitions(now).filter(({ name }) => !existing.has(name))
}

async function listNames(database: Queryable): Promise<ReadonlySet<string>> {
  const partitions = await store.selectPartitions(database)
  return new Set(partitions.map(({ name }) => name))
}
