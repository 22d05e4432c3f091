import { AppError } from '@nexus/service'

export type BatcherOptions<Item> = {
  readonly maxBatch: number
  /** Batches under way at once: what is left of the pool stays free for callbacks and refreshes. */
  readonly maxConcurrent: number
  readonly maxQueued: number
  /** Whom an item is charged to; nobody may fill more than a quarter of the queue. */
  readonly chargeTo: (item: Item) => string
}

const tooMany = (): AppError =>
  new AppError('unavailable', 'Too many requests are waiting; try again shortly.', { retryAfterSeconds: 1 })

type Waiting<Item, Result> = {
  readonly item: Item
  readonly resolve: (result: Result) => void
  readonly reject: (error: unknown) => void
}

/**
 * Lets work that arrives together be done together. A batch never waits to fill: it starts as soon as a place is free,
 * and holds what has come until then.
 * `run` answers for each item in order, with a result or the error that item alone failed with; when it throws, all fail.
 */
export function createBatcher<Item, Result>(
  options: BatcherOptions<Item>,
  run: (items: readonly Item[]) => Promise<readonly (Result | Error)[]>,
): (item: Item) => Promise<Result> {
  const queue: Waiting<Item, Result>[] = []
  const queuedBy = new Map<string, number>()
  let running = 0
  let scheduled = false

  const charge = (item: Item, change: 1 | -1): void => {
    const key = options.chargeTo(item)
    const count = (queuedBy.get(key) ?? 0) + change
    if (count === 0) queuedBy.delete(key)
    else queuedBy.set(key, count)
  }

  const runBatch = async (batch: readonly Waiting<Item, Result>[]): Promise<void> => {
    try {
      const results = await run(batch.map(({ item }) => item))
      batch.forEach(({ resolve, reject }, index) => {
        const result = results[index]
        if (result === undefined) reject(new Error('the batch gave no answer for an item'))
        else if (result instanceof Error) reject(result)
        else resolve(result)
      })
    } catch (error) {
      for (const { reject } of batch) reject(error)
    } finally {
      running -= 1
      startBatches()
    }
  }

  const startBatches = (): void => {
    while (running < options.maxConcurrent && queue.length > 0) {
      const batch = queue.splice(0, options.maxBatch)
      for (const { item } of batch) charge(item, -1)
      running += 1
      void runBatch(batch)
    }
  }

  return (item) => {
    const mine = queuedBy.get(options.chargeTo(item)) ?? 0
    if (queue.length >= options.maxQueued || mine >= options.maxQueued / 4) {
      return Promise.reject(tooMany())
    }
    return new Promise<Result>((resolve, reject) => {
      queue.push({ item, resolve, reject })
      charge(item, 1)
      if (scheduled) return
      scheduled = true
      // after this turn of the event loop, so that requests read from sockets in the same turn share a batch
      setImmediate(() => {
        scheduled = false
        startBatches()
      })
    })
  }
}
