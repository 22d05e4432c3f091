import type { Logger } from '@nexus/service'
import type { Queryable } from '../db/database.ts'
import { touchLastUsed } from './store.ts'

const flushEveryMs = 5_000
const oncePerMs = 60_000
const maxRemembered = 100_000

export type LastUsed = AsyncDisposable & { readonly note: (connectionId: string) => void }

/**
 * Keeps `last_used_at` without a write per read: uses are gathered and written every few seconds, each row at most once a
 * minute. Losing some in a crash costs nothing but the precision of a display.
 */
export function createLastUsed(database: Queryable, logger: Logger, now: () => number): LastUsed {
  const waiting = new Set<string>()
  let written = new Map<string, number>()

  const flush = async (): Promise<void> => {
    if (waiting.size === 0) return
    const ids = [...waiting]
    waiting.clear()
    try {
      await touchLastUsed(database, ids)
      for (const id of ids) written.set(id, now())
    } catch (error) {
      logger.warn({ err: error }, 'last uses could not be written')
    }
    if (written.size > maxRemembered) written = new Map()
  }
  const timer = setInterval(() => void flush(), flushEveryMs)
  timer.unref()

  return {
    note(connectionId) {
      if (now() - (written.get(connectionId) ?? -Infinity) >= oncePerMs) waiting.add(connectionId)
    },
    async [Symbol.asyncDispose]() {
      clearInterval(timer)
      await flush()
    },
  }
}
