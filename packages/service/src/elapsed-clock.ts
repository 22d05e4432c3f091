/** A wall clock that is ahead by less may have been slewed: both clocks are read one after the other, in whole milliseconds. */
const smallestSleepMs = 1000

/**
 * Milliseconds since some moment, which never go back and go on while the machine sleeps. The monotonic clock stands still
 * then (clock_gettime(2), CLOCK_MONOTONIC), and a wall clock may be set back: so time goes by the former, and where the
 * latter has run ahead of it by a second, the machine has slept for as long. Whoever sets the wall clock forward makes
 * things end early, never late.
 */
export function createElapsedClock(
  wallMs: () => number = Date.now,
  monotonicMs: () => number = () => performance.now(),
): () => number {
  const start = { wall: wallMs(), monotonic: monotonicMs() }
  let sleptMs = 0
  return () => {
    const awakeMs = monotonicMs() - start.monotonic
    const aheadMs = wallMs() - start.wall - awakeMs
    if (aheadMs > sleptMs + smallestSleepMs) sleptMs = aheadMs
    return awakeMs + sleptMs
  }
}
