import { wasAcceptedElsewhere } from './attempt-store.ts'
import {
  type BoundCallback,
  type CallbackAnswer,
  type Returning,
  returnWithError,
  returnWithSuccess,
} from './callback-answer.ts'
import { type HoldDeps, findHeldReturn } from './hold-for-app.ts'
import type { RecordedOutcome } from './outcome-store.ts'
import { waitForOutcome } from './wait-for-outcome.ts'

/**
 * Somebody was first: wait for what came of it and answer as they were answered (H2). In another browser it may be somebody
 * else, whose account was connected: they are told no more than that the link was used.
 */
export async function answerAsRecorded(
  deps: HoldDeps,
  bound: Returning & Pick<BoundCallback, 'origin'>,
): Promise<CallbackAnswer> {
  let recorded = await waitForOutcome(deps.database, bound.attempt.handshakeId)
  if (recorded?.isHeld === true) {
    const location = await findHeldReturn(deps, bound)
    if (location !== undefined) return { kind: 'redirect', location, clearCookie: bound.clearCookie }
    // another attempt of the link holds it, or the app came meanwhile
    recorded = await waitForOutcome(deps.database, bound.attempt.handshakeId)
  }
  if (recorded !== undefined && recorded.outcome !== null) return answerEnded(deps, bound, recorded)
  if (recorded?.isUnderWay === true) return { kind: 'page', page: 'try-again-later', status: 503 }
  return returnWithError(deps.returnDomains, bound, errorWithoutOutcome(recorded))
}

async function answerEnded(
  deps: HoldDeps,
  bound: Returning,
  { outcome, error }: RecordedOutcome,
): Promise<CallbackAnswer> {
  const isOfAnother = error !== 'link_expired' && (await wasAcceptedElsewhere(deps.database, bound.attempt))
  if (outcome === 'success' && !isOfAnother) return returnWithSuccess(deps.returnDomains, bound)
  return returnWithError(deps.returnDomains, bound, (isOfAnother ? undefined : error) ?? 'already_completed')
}

/** Nobody is at work on it: a deadline passed, a Broker died with the code, or the connection went elsewhere. */
function errorWithoutOutcome(recorded: RecordedOutcome | undefined): string {
  if (recorded?.isMissed === true) return 'completion_missed'
  return recorded?.isElsewhere === true || recorded?.isHeld === true ? 'already_completed' : 'link_expired'
}
