import type { Logger } from '@nexus/service'
import { countDaysAhead, ensurePartitions } from '../audit/partitions.ts'
import type { Database } from '../db/database.ts'
import type { DatabaseClock } from '../db/database-clock.ts'
import * as store from './store.ts'

export type SweeperDeps = {
  readonly database: Database
  readonly clock: DatabaseClock
  readonly logger: Logger
  readonly intervalMs: number
  /** PURGE_AFTER_DAYS */
  readonly purgeAfterDays: number
}

export type Sweeper = AsyncDisposable & {
  /** Days for which audit partitions exist, as of the last sweep. */
  readonly partitionDaysAhead: () => number
  readonly sweep: () => Promise<void>
}

/**
 * The housekeeping of every Broker. Each job is idempotent and passes over rows that another Broker holds, so it does not
 * matter how many run it; a job that fails is tried again with the next sweep.
 */
export function createSweeper({ database, clock, logger, intervalMs, purgeAfterDays }: SweeperDeps): Sweeper {
  let daysAhead = 0
  let running: Promise<void> = Promise.resolve()

  const jobs: readonly (readonly [string, () => Promise<unknown>])[] = [
    ['measure the clock', () => clock.measure()],
    ['make audit partitions', () => ensurePartitions(database)],
    ['count audit partitions', async () => (daysAhead = await countDaysAhead(database))],
    ['expire connections', () => store.expirePendingConnections(database)],
    ['forget secrets of attempts', () => store.forgetAttemptSecrets(database)],
    ['delete expired handshakes', () => store.deleteExpiredHandshakes(database)],
    ['delete idempotency keys', () => store.deleteOldIdempotencyKeys(database)],
    ['purge connections', () => store.purgeConnections(database, purgeAfterDays)],
  ]
  const runJobs = async (): Promise<void> => {
    for (const [name, job] of jobs) {
      await job().catch((error: unknown) => {
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
      await running
    },
  }
}
