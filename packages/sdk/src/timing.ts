/** Time and chance, which tests decide. */
export type Timing = {
  /** Monotonic milliseconds. */
  readonly now: () => number
  /** At least 0, below 1. */
  readonly random: () => number
  /** @throws the reason of `signal`, as soon as it aborts */
  readonly pause: (milliseconds: number, signal?: AbortSignal) => Promise<void>
}

export const realTiming: Timing = {
  now: () => performance.now(),
  random: Math.random,
  pause: (milliseconds, signal) =>
    new Promise((resolve, reject) => {
      if (signal?.aborted === true) return reject(reasonOf(signal))
      const onAbort = (): void => {
        clearTimeout(timer)
        reject(reasonOf(signal))
      }
      const timer = setTimeout(() => {
        signal?.removeEventListener('abort', onAbort)
        resolve()
      }, milliseconds)
      return signal?.addEventListener('abort', onAbort, { once: true })
    }),
}

/** What the caller gave `abort()`, whatever that is: an AbortError unless they say otherwise. */
function reasonOf(signal: AbortSignal | undefined): Error {
  const reason: Error = signal?.reason
  return reason
}

/** `promise`, but no longer than until `signal` aborts: what several wait for is not one's to cancel. */
export function untilAborted<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return promise
  return new Promise<T>((resolve, reject) => {
    const onAbort = (): void => reject(reasonOf(signal))
    if (signal.aborted) onAbort()
    signal.addEventListener('abort', onAbort, { once: true })
    const forget = (): void => signal.removeEventListener('abort', onAbort)
    promise.then(resolve, reject).then(forget, forget)
  })
}
