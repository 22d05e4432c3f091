import { backoffSeconds } from '../maintenance/backoff.ts'

const backoff = { firstSeconds: 5, longestSeconds: 7_200 }

/**
 * How long to leave a notice alone after its nth failed attempt, in seconds: exponential from five seconds to two hours with
 * jitter in the upper half, and never sooner than the receiver asked (Retry-After). A day holds about twenty attempts.
 *
 * @param random - uniform in [0, 1)
 */
export function noticeRetryDelay(
  attempts: number,
  retryAfterSeconds: number | undefined,
  random: () => number,
): number {
  return Math.max(backoffSeconds(attempts, backoff, random), retryAfterSeconds ?? 0)
}
