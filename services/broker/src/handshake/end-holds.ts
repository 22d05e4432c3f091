import { type Origin, systemOrigin } from '../audit/audit-event.ts'
import { recordEvent } from '../audit/record-event.ts'
import { failConnection } from '../connections/activate-connection.ts'
import type { Queryable } from '../db/database.ts'
import type { OutcomeDeps } from './handshake-outcome.ts'
import * as store from './hold-store.ts'

type EndHoldsDeps = Pick<OutcomeDeps, 'createId' | 'database'>

export type HoldEnding = {
  /** `late`: only what the app did not come for in time. */
  readonly which: 'all' | 'late'
  /** What repetitions of the callback are told. */
  readonly returnError: string
  /** `status_reason` of a connection that fails by it. */
  readonly reason: string
}

/** Whose completion is refused, why in truth, and who asked: the audit alone knows. */
export type RefusedCompletion = {
  readonly subject: Pick<store.DestroyedHold, 'connectionId' | 'providerId' | 'zone'>
  readonly outcome: string
  readonly origin: Origin
}

/**
 * Destroys, unused, what is held for a connection. One that waited for it fails; one that was to be reconnected stays as
 * it is. The caller records why.
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

/** The same, in a transaction of its own, with a record for each. */
export async function endAndRecordHolds(
  deps: EndHoldsDeps,
  connectionId: string,
  ending: HoldEnding,
  origin: Origin,
): Promise<void> {
  await deps.database.transaction(async (transaction) => {
    for (const subject of await endHolds(transaction, connectionId, ending)) {
      await recordRefusedCompletion(deps, transaction, { subject, outcome: ending.reason, origin })
    }
  })
}

export async function recordRefusedCompletion(
  { createId }: Pick<OutcomeDeps, 'createId'>,
  transaction: Queryable,
  { subject: { connectionId, providerId, zone }, outcome, origin }: RefusedCompletion,
): Promise<void> {
  const event = { event: 'completion_refused', outcome, origin, connectionId, providerId, zone } as const
  await recordEvent(transaction, createId(), event)
}

const missed = { which: 'late', returnError: 'completion_missed', reason: 'completion_missed' } as const

/**
 * Destroys what apps did not come for in time. Harmless beside itself: each connection is a transaction of its own.
 * @returns how many connections it looked at
 */
export async function endMissedCompletions(deps: EndHoldsDeps, limit: number): Promise<number> {
  const connectionIds = await store.selectMissed(deps.database, limit)
  for (const id of connectionIds) await endAndRecordHolds(deps, id, missed, systemOrigin)
  return connectionIds.length
}
