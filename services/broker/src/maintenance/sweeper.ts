import type { Logger } from '@nexus/service'
import { countDaysAhead, ensurePartitions } from '../audit/partitions.ts'
import type { AuditRetention } from '../audit/retention.ts'
import type { Database } from '../db/database.ts'
import type { DatabaseClock } from '../db/database-clock.ts'
import { inBatches } from './in-batches.ts'
import * as store from './store.ts'

export type SweeperDeps = {
  readonly database: Database
  readonly clock: DatabaseClock
  readonly logger: Logger
  readonly intervalMs: number
  readonly auditRetention: Pick<AuditRetention, 'dropOldPartitions'>
  /** PURGE_AFTER_DAYS */
  readonly purgeAfterDays: number
  /** Destroys up to so many of what apps did not come for in time, and says how many it were. */
  readonly endMissedCompletions: (limit: number) => Promise<number>
}

export type Sweeper = AsyncDisposable & {
  /** Days for which audit partitions exist, as of the last sweep. */
  readonly partitionDaysAhead: () => number
  readonly sweep: () => Promise<void>
}

type Job = (signal: AbortSignal) => Promise<unknown>

/**
 * The housekeeping of every Broker. Each job is idempotent and passes over rows that another Broker holds, so it does not
 * matter how many run it; a job that fails is tried again with the next sweep.
 */
export function createSweeper({
  database,
  clock,
  logger,
  intervalMs,
  auditRetention,
  purgeAfterDays,
  endMissedCompletions,
}: SweeperDeps): Sweeper {
  const stopping = new AbortController()
  let daysAhead = 0
  let running: Promise<void> = Promise.resolve()
  const batched =
    (job: (database: Database, limit: number) => Promise<number>): Job =>
    (signal) =>
      inBatches((limit) => job(database, limit), signal)

  const jobs: readonly (readonly [string, Job])[] = [
    ['measure the clock', () => clock.measure()],
    ['make audit partitions', () => ensurePartitions(database)],
    ['count audit partitions', async () => (daysAhead = await countDaysAhead(database))],
    ['end missed completions', (signal) => inBatches(endMissedCompletions, signal)],
    ['expire connections', batched(store.expirePendingConnections)],
    ['forget secrets of attempts', batched(store.forgetAttemptSecrets)],
    ['delete expired handshakes', batched(store.deleteExpiredHandshakes)],
    ['delete idempotency keys', batched(store.deleteOldIdempotencyKeys)],
    ['purge connections', batched((on, limit) => store.purgeConnections(on, purgeAfterDays, limit))],
    ['drop audit partitions', auditRetention.dropOldPartitions],
  ]
  const runJobs = async (): Promise<void> => {
    for (const [name, job] of jobs) {
      if (stopping.signal.aborted) return
      await job(stopping.signal).catch((error: unknown) => {
        logger.warn({ err: error, job: name }, 'housekeeping failed; it will be tried again')
      })
    }
  }
  const sweep = (): Promise<void> => (running = running.then(runJobs))
  const timer = setInterval(() => void sweep(), intervalMs)
  timer.unref()

  return {
    partitionDaysAhead: () => daysAhead,
    sweep,
    async [Symbol.asyncDispose]() {
      clearInterval(timer)
      stopping.abort()
      await running
    },
  }
}
