import type { Logger } from '@nexus/service'
import type { Database, Queryable } from '../db/database.ts'
import { underLease } from '../maintenance/lease.ts'
import { type AuditTable, auditTables, isOver, partitionNamed } from './partition-calendar.ts'
import * as store from './partition-store.ts'

export type RetentionDeps = {
  readonly database: Database
  /** For what cannot run inside a transaction, with a limit to its waiting for locks. */
  readonly lone: Queryable
  /** Of this process, for the lease. */
  readonly owner: string
  readonly logger: Logger
  readonly retentionDays: Readonly<Record<AuditTable, number>>
  readonly countDropped: () => void
}

export type AuditRetention = {
  /** One pass. It stops early when the signal fires. @throws AppError `unavailable` while the database is away */
  readonly dropOldPartitions: (signal?: AbortSignal) => Promise<void>
  /** Seconds since the oldest partition that still exists ended, by table, as of the last pass. */
  readonly oldestAgeSeconds: () => ReadonlyMap<AuditTable, number>
}

/** A partition on its way out, and how far it has come. */
type Leaving = {
  readonly table: AuditTable
  readonly name: string
  readonly state: 'attached' | 'detaching' | 'detached'
  readonly until: Date | undefined
}

/**
 * Drops the partitions whose every record is older than the limit, one Broker at a time. Each step leaves a state that
 * the next pass finds in the catalog and goes on from, whoever made it and however it ended:
 * attached → (marked) → detaching → detached → gone.
 */
export function createAuditRetention(deps: RetentionDeps): AuditRetention {
  let ages: ReadonlyMap<AuditTable, number> = new Map()

  return {
    async dropOldPartitions(signal) {
      const now = await store.readDatabaseTime(deps.database)
      const partitions = await listPartitions(deps.database)
      ages = measureAges(partitions, now)
      // most of the time there is nothing to do, and nothing is written
      if (!partitions.some((partition) => isLeaving(deps, partition, now))) return
      await underLease(deps, 'audit retention', async ({ renew }) => {
        const mayGoOn = async (): Promise<boolean> => signal?.aborted !== true && (await renew())
        for (const table of auditTables) await dropOldOf(deps, table, mayGoOn)
      })
    },
    oldestAgeSeconds: () => ages,
  }
}

async function dropOldOf(deps: RetentionDeps, table: AuditTable, mayGoOn: () => Promise<boolean>): Promise<void> {
  const now = await store.readDatabaseTime(deps.database)
  const schema = await store.readAuditSchema(deps.database)
  const leaving = (await listPartitions(deps.database)).filter((each) => isLeaving(deps, each, now))
  for (const partition of leaving.filter((each) => each.table === table)) {
    if (!(await mayGoOn())) return
    try {
      await retire(deps, schema, partition)
    } catch (error) {
      deps.logger.warn({ err: error, table, partition: partition.name }, 'an audit partition could not be dropped yet')
      // PostgreSQL detaches one at a time; a table that is out already is in nobody's way
      if (partition.state !== 'detached') return
    }
  }
}

async function retire(deps: RetentionDeps, schema: string, partition: Leaving): Promise<void> {
  if (partition.state === 'attached') {
    await inBriefTransaction(deps.database, (transaction) => store.markPartition(transaction, schema, partition))
    await store.detachPartition(deps.lone, schema, partition)
  }
  if (partition.state === 'detaching') {
    await inBriefTransaction(deps.database, (transaction) => store.finalizePartition(transaction, schema, partition))
  }
  if (!(await dropDetached(deps.database, schema, partition))) return
  deps.countDropped()
  deps.logger.info({ partition: partition.name }, 'an audit partition was dropped: all in it was older than the limit')
}

/** Looks once more under the lock: what is dropped is a table of its own, and we are the ones who detached it. */
function dropDetached(database: Database, schema: string, partition: Leaving): Promise<boolean> {
  return inBriefTransaction(database, async (transaction) => {
    await store.lockTable(transaction, schema, partition)
    const isOurs = (await store.selectDetached(transaction)).includes(partition.name)
    if (isOurs) await store.dropTable(transaction, schema, partition)
    return isOurs
  })
}

function inBriefTransaction<Result>(
  database: Database,
  work: (transaction: Queryable) => Promise<Result>,
): Promise<Result> {
  return database.transaction(async (transaction) => {
    await store.limitLockWaits(transaction)
    return work(transaction)
  })
}

/** First those whose detach is open, which keep others from being detached; then the oldest. */
async function listPartitions(database: Queryable): Promise<readonly Leaving[]> {
  const stored = await store.selectPartitions(database)
  const ours = stored.filter(({ table, name }) => partitionNamed(name)?.table === table)
  const detached = (await store.selectDetached(database)).flatMap((name) => partitionNamed(name) ?? [])
  return [
    ...ours.map((each) => ({ ...each, until: each.until ?? undefined })),
    ...detached.map(({ table, name, to }) => ({ table, name, state: 'detached' as const, until: to })),
  ].toSorted((a, b) => rank(a) - rank(b))
}

function rank({ state, until }: Leaving): number {
  return state === 'detaching' ? -Infinity : (until?.getTime() ?? Infinity)
}

function isLeaving({ retentionDays }: RetentionDeps, { state, table, until }: Leaving, now: Date): boolean {
  return state === 'detaching' || isOver(until, now, retentionDays[table])
}

function measureAges(partitions: readonly Leaving[], now: Date): ReadonlyMap<AuditTable, number> {
  const ages = new Map<AuditTable, number>(auditTables.map((table) => [table, 0]))
  for (const { table, until } of partitions) {
    const age = until === undefined ? 0 : (now.getTime() - until.getTime()) / 1000
    ages.set(table, Math.max(ages.get(table) ?? 0, age))
  }
  return ages
}
