import { type Origin, systemOrigin } from '../audit/audit-event.ts'
import { recordEvent } from '../audit/record-event.ts'
import { failConnection } from '../connections/activate-connection.ts'
import type { Queryable } from '../db/database.ts'
import type { OutcomeDeps } from './handshake-outcome.ts'
import * as store from './hold-store.ts'

type EndDeps = Pick<OutcomeDeps, 'createId'>

export type HoldEnding = {
  /** `late`: only what the app did not come for in time. */
  readonly which: 'all' | 'late'
  /** What repetitions of the callback are told. */
  readonly returnError: string
  /** `status_reason` of a connection that fails by it. */
  readonly reason: string
}

/**
 * Destroys, unused, what is held for a connection. One that waited for it fails; one that was to be reconnected stays as
 * it is.
 */
export async function endHolds(
  transaction: Queryable,
  connectionId: string,
  { which, returnError, reason }: HoldEnding,
): Promise<readonly store.DestroyedHold[]> {
  const destroyed = await store.destroyHolds(transaction, connectionId, which, returnError)
  if (destroyed.some(({ isFirst }) => isFirst)) await failConnection(transaction, connectionId, reason)
  return destroyed
}

export type RefusedCompletion = Pick<store.DestroyedHold, 'connectionId' | 'providerId' | 'zone'> & {
  /** The true reason, which only the audit knows. */
  readonly outcome: string
  readonly origin: Origin
}

export async function recordRefusal(
  deps: EndDeps,
  transaction: Queryable,
  { connectionId, providerId, zone, outcome, origin }: RefusedCompletion,
): Promise<void> {
  const event = { event: 'completion_refused', outcome, origin, connectionId, providerId, zone } as const
  await recordEvent(transaction, deps.createId(), event)
}

const missed = 'completion_missed'

/**
 * Destroys what apps did not come for in time. Harmless beside itself: each connection is a transaction of its own.
 * @returns how many connections it looked at
 */
export async function endMissedCompletions(
  deps: EndDeps & Pick<OutcomeDeps, 'database'>,
  limit: number,
): Promise<number> {
  const connectionIds = await store.selectMissed(deps.database, limit)
  for (const id of connectionIds) {
    await deps.database.transaction(async (transaction) => {
      for (const hold of await endHolds(transaction, id, { which: 'late', returnError: missed, reason: missed })) {
        await recordRefusal(deps, transaction, { ...hold, outcome: missed, origin: systemOrigin })
      }
    })
  }
  return connectionIds.length
}
