import type { Queryable } from './database.ts'
import { sql } from './sql.ts'

/**
 * The database's time, for what must agree between Brokers (R9): measured against the host's monotonic clock, so that a
 * host whose wall clock is wrong, or is put right, makes no difference.
 */
export type DatabaseClock = {
  /** Milliseconds since 1970. */
  readonly now: () => number
  /** Database minus host, in milliseconds: the clock skew when checking other people's timestamps. */
  readonly offsetMs: () => number
  readonly measure: () => Promise<void>
}

export function createDatabaseClock(
  database: Queryable,
  host: { readonly now: () => number; readonly monotonicMs: () => number },
): DatabaseClock {
  // until the first measurement the host's clock is all there is
  let reference = { databaseMs: host.now(), monotonicMs: host.monotonicMs() }
  const now = () => reference.databaseMs + (host.monotonicMs() - reference.monotonicMs)
  return {
    now,
    offsetMs: () => now() - host.now(),
    async measure() {
      const before = host.monotonicMs()
      const [row] = await database.query<{ now: number }>(sql`
        select (extract(epoch from clock_timestamp()) * 1000)::float8 as now`)
      // the answer was true about half-way between question and answer
      if (row) reference = { databaseMs: row.now, monotonicMs: (before + host.monotonicMs()) / 2 }
    },
  }
}
