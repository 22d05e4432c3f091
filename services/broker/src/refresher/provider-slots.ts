/** Bounds how many refreshes of one provider, and of all together, this process has under way. */
export type ProviderSlots = {
  /** REFRESH_CONCURRENCY. */
  readonly perProvider: number
  /** How many are free; none while callers wait for one. */
  readonly free: (providerId: string) => number
  readonly freeInAll: () => number
  /** Providers with anything under way. */
  readonly busy: () => Iterable<string>
  /** For work that nobody waits for. @returns false where none is free */
  readonly tryTake: (providerId: string) => boolean
  /**
   * For a caller who waits: takes a slot as soon as one is free, in turn.
   * @returns false where none became free in time
   */
  readonly takeInTurn: (providerId: string, withinMs: number) => Promise<boolean>
  readonly giveBack: (providerId: string) => void
}

type Queue = { taken: number; readonly waiting: Set<() => void> }

/** Over all providers, in multiples of what one may have: one that hangs leaves room for seven others. */
const providersAtOnce = 8

export function createProviderSlots(perProvider: number): ProviderSlots {
  const queues = new Map<string, Queue>()
  let taken = 0

  const take = (providerId: string): void => {
    const queue = queues.get(providerId) ?? { taken: 0, waiting: new Set() }
    queues.set(providerId, queue)
    queue.taken += 1
    taken += 1
  }
  const free = (providerId: string): number => {
    const queue = queues.get(providerId)
    // where somebody waits, all are taken: what is given back goes from hand to hand
    return queue === undefined ? perProvider : perProvider - queue.taken
  }
  return {
    perProvider,
    free,
    freeInAll: () => Math.max(0, perProvider * providersAtOnce - taken),
    busy: () => queues.keys(),
    tryTake(providerId) {
      if (free(providerId) === 0) return false
      take(providerId)
      return true
    },
    async takeInTurn(providerId, withinMs) {
      const queue = queues.get(providerId)
      if (queue === undefined || free(providerId) > 0) {
        take(providerId)
        return true
      }
      const turn = Promise.withResolvers<boolean>()
      const grant = (): void => turn.resolve(true)
      const timer = setTimeout(() => {
        queue.waiting.delete(grant)
        turn.resolve(false)
      }, withinMs)
      queue.waiting.add(grant)
      // a slot that is granted stays taken all the way from giver to receiver
      return turn.promise.finally(() => clearTimeout(timer))
    },
    giveBack(providerId) {
      const queue = queues.get(providerId)
      if (queue === undefined) return
      const [next] = queue.waiting
      if (next !== undefined) {
        queue.waiting.delete(next)
        return next()
      }
      queue.taken -= 1
      taken -= 1
      if (queue.taken === 0) queues.delete(providerId)
    },
  }
}
