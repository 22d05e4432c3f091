import { setTimeout as delay } from 'node:timers/promises'
import { isAppError } from '@nexus/service'

export type RetryOptions = {
  /** How long to go on, in milliseconds, counted from the first failure. */
  readonly forMs: number
  /** Told before each further try. */
  readonly onRetry: (error: unknown) => void
}

const intervalMs = 500

/**
 * Repeats `store` while the database is away, for what must not be lost: an answer for which a single-use code or token
 * was spent. `store` must be idempotent, since an acknowledgement may have been lost after the commit (R4).
 */
export async function retryWhileAway<Result>(store: () => Promise<Result>, options: RetryOptions): Promise<Result> {
  let deadline: number | undefined
  for (;;) {
    try {
      return await store()
    } catch (error) {
      deadline ??= performance.now() + options.forMs
      if (!isAppError(error) || error.code !== 'unavailable' || performance.now() > deadline) throw error
      options.onRetry(error)
      await delay(intervalMs)
    }
  }
}
