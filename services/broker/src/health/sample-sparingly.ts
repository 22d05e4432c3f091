import { setTimeout as delay } from 'node:timers/promises'

const usuallyFreshForMs = 60_000
/** A sample that takes long is taken the more seldom: it keeps the database busy for a hundredth of the time at most. */
const restPerWork = 100
/** Longer than that nobody who scrapes is kept waiting: the other metrics are wanted most when the database is slow. */
const patienceMs = 1_000

/**
 * A costly value for those who ask for it often: at most one `take` runs at a time, and its outcome stands for a minute
 * (or `freshForMs`) or longer. Whoever asks meanwhile gets the last value known; a failure is an outcome too, with no value.
 *
 * @param now - monotonic milliseconds
 */
export function sampleSparingly<Value>(
  take: () => Promise<Value>,
  now: () => number,
  freshForMs = usuallyFreshForMs,
): () => Promise<Value | undefined> {
  let value: Value | undefined
  let nextAt = -Infinity
  let running: Promise<void> | undefined

  const sample = async (): Promise<void> => {
    const begun = now()
    value = await take().catch(() => undefined)
    nextAt = now() + Math.max(freshForMs, restPerWork * (now() - begun))
    running = undefined
  }
  return async () => {
    if (now() >= nextAt) running ??= sample()
    if (running !== undefined) await Promise.race([running, delay(patienceMs, undefined, { ref: false })])
    return value
  }
}
