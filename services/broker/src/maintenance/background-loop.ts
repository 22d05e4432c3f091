import type { Logger } from '@nexus/service'

export type BackgroundLoopOptions = {
  /** For the log: 'deliver notices'. */
  readonly name: string
  /** Milliseconds from the end of one round to the begin of the next, give or take a quarter: many Brokers spread out. */
  readonly everyMs: number
  /**
   * One round. True: there is more, go on at once. It stops early when the signal fires.
   * What it throws is logged, and the next round comes all the same.
   */
  readonly work: (signal: AbortSignal) => Promise<boolean>
  readonly logger: Logger
  /** Uniform in [0, 1). */
  readonly random: () => number
}

export type BackgroundLoop = AsyncDisposable & {
  /** Begins the next round now, if none is running. */
  readonly wake: () => void
  /** No further round begins; the one that runs is told by its signal. */
  readonly stop: () => void
}

/** Repeats a round of work until it is stopped. Disposing of it waits for the round that runs. */
export function startBackgroundLoop({ name, everyMs, work, logger, random }: BackgroundLoopOptions): BackgroundLoop {
  const stopping = new AbortController()
  let timer: NodeJS.Timeout | undefined
  let running: Promise<void> | undefined

  const runRound = async (): Promise<void> => {
    let hasMore = false
    try {
      hasMore = await work(stopping.signal)
    } catch (error) {
      logger.warn({ err: error, job: name }, 'background work failed; it will be tried again')
    }
    running = undefined
    schedule(hasMore ? 0 : everyMs * (0.75 + random() / 2))
  }
  const begin = (): void => {
    if (running !== undefined || stopping.signal.aborted) return
    clearTimeout(timer)
    running = runRound()
  }
  const schedule = (delayMs: number): void => {
    if (stopping.signal.aborted) return
    timer = setTimeout(begin, delayMs)
    timer.unref()
  }
  const stop = (): void => {
    clearTimeout(timer)
    stopping.abort()
  }
  schedule(everyMs * random())

  return {
    wake: begin,
    stop,
    async [Symbol.asyncDispose]() {
      stop()
      await running
    },
  }
}
