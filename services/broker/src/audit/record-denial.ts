import { type Logger, type RateLimiter, rateLimitKey } from '@nexus/service'
import type { Queryable } from '../db/database.ts'
import type { Origin } from './audit-event.ts'
import { insertAuditEvent } from './store.ts'

/** A call that was refused before its route ran. */
export type Denial = {
  readonly origin: Origin
  /** The error code of the refusal. */
  readonly outcome: string
  readonly connectionId: string | undefined
  readonly method: string
  /** The route's pattern. */
  readonly route: string
}

export type RecordDenial = (denial: Denial) => void

type DenialDeps = {
  readonly database: Queryable
  readonly createId: () => string
  readonly logger: Logger
  /** By address: the first ones of a minute tell what an endless row of them would, and nobody can fill the audit. */
  readonly limiter: RateLimiter
}

/** Records refused calls (A2) beside their answer, which neither waits for the database nor depends on it. */
export function createDenialRecorder({ database, createId, logger, limiter }: DenialDeps): RecordDenial {
  const record = async ({ origin, outcome, connectionId, method, route }: Denial): Promise<void> => {
    if (!(await limiter.check(rateLimitKey(origin.address ?? ''))).allowed) return
    const event = { event: 'access.denied', outcome, origin, connectionId, data: { method, route } } as const
    await insertAuditEvent(database, createId(), event)
  }
  return (denial) => {
    record(denial).catch((error: unknown) => {
      logger.warn({ err: error, outcome: denial.outcome }, 'a refused call could not be recorded')
    })
  }
}
