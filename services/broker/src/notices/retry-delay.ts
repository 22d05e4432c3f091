const firstSeconds = 5
const longestSeconds = 7_200

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
  const ceiling = Math.min(firstSeconds * 2 ** Math.min(attempts - 1, 30), longestSeconds)
  return Math.max(ceiling / 2 + random() * (ceiling / 2), retryAfterSeconds ?? 0)
}
