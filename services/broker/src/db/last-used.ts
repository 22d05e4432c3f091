import type { Logger } from '@nexus/service'
import { type Sql, fragment } from './sql.ts'

const flushEveryMs = 5_000
const oncePerMs = 60_000
/**
 * Bounds what uses cost the database. Among a million connections nearly every read is the first of its row in a while, and
 * would write a page of its own, and that page whole into the log after each checkpoint: more than the read itself costs.
 */
const mostPerFlush = 1_000
const mostWaiting = 100_000
const mostRemembered = 100_000

export type LastUsed = AsyncDisposable & { readonly note: (id: string) => void }

export type Use = { readonly id: string; readonly secondsAgo: number }

/** Rows of `id` and `at`, by the database's clock: of what an `update … last_used_at` is to be made. */
export function usesAsRows(uses: readonly Use[]): Sql {
  return fragment`
    (select id, now() - make_interval(secs => seconds_ago) as at
       from unnest(${uses.map(({ id }) => id)}::uuid[], ${uses.map(({ secondsAgo }) => secondsAgo)}::float8[])
         as noted (id, seconds_ago))`
}

export type LastUsedDeps = {
  readonly logger: Logger
  /** Monotonic milliseconds. */
  readonly now: () => number
  /** One statement for many rows. */
  readonly write: (uses: readonly Use[]) => Promise<void>
}

/**
 * Keeps `last_used_at` without a write per read: uses are gathered and written every few seconds, each row at most once a
 * minute, and of many rows the longest waiting first. So up to some ten thousand connections in use it is true to the
 * minute, and with more of them it lags. Losing some in a crash costs nothing but the precision of a display.
 */
export function createLastUsed({ logger, now, write }: LastUsedDeps): LastUsed {
  /** When each was used last, in the order in which they began to wait. */
  const waiting = new Map<string, number>()
  let written = new Map<string, number>()

  const flush = async (): Promise<void> => {
    if (waiting.size === 0) return
    const batch = [...waiting.entries().take(mostPerFlush)]
    for (const [id] of batch) waiting.delete(id)
    try {
      await write(batch.map(([id, usedAt]) => ({ id, secondsAgo: (now() - usedAt) / 1000 })))
      for (const [id] of batch) written.set(id, now())
    } catch (error) {
      logger.warn({ err: error }, 'last uses could not be written')
    }
    if (written.size > mostRemembered) written = new Map()
  }
  const timer = setInterval(() => void flush(), flushEveryMs)
  timer.unref()

  return {
    note(id) {
      const isKnown = now() - (written.get(id) ?? -Infinity) < oncePerMs
      const mayWait = waiting.size < mostWaiting || waiting.has(id)
      if (!isKnown && mayWait) waiting.set(id, now())
    },
    async [Symbol.asyncDispose]() {
      clearInterval(timer)
      await flush()
    },
  }
}
