import { retryWhileAway } from '../db/retry-while-away.ts'
import { acceptAttempt } from './attempt-store.ts'
import { type Accepted, type Bound, type OutcomeDeps, noteRetry } from './handshake-outcome.ts'

/** Milliseconds. Nothing is used up before an attempt is accepted, so whoever waits for that need not wait for long. */
export const acceptForMs = 5_000

export const acceptanceWaits = 'an attempt waits to be accepted'

/**
 * Accepts an attempt, tried again while the database is away.
 * @returns undefined where somebody else was first, or there is nothing to accept any more
 */
export async function acceptPatiently(deps: OutcomeDeps, { attempt, origin }: Bound): Promise<Accepted | undefined> {
  const acceptanceId = deps.createId()
  const acceptance = await retryWhileAway(() => acceptAttempt(deps.database, attempt, acceptanceId), {
    forMs: acceptForMs,
    onRetry: noteRetry(deps, { attempt, origin }, acceptanceWaits),
  })
  return acceptance && { attempt: { ...attempt, acceptanceId }, origin }
}
