/** How many revocations of each provider this process attempts at once. */
export type ProviderPlaces = {
  readonly take: (providerId: string) => void
  /** @param outcome - undefined where nothing was learnt of the provider. */
  readonly giveBack: (providerId: string, outcome: PlaceOutcome | undefined) => void
  /** Places that are free in all. */
  readonly free: () => number
  /** Free places of those providers that have another number of them than `perProvider`. */
  readonly exceptions: () => ReadonlyMap<string, number>
}

export type PlaceOutcome = { readonly hasAnswered: boolean; readonly retryAfterSeconds: number | undefined }

export const perProvider = 4
const inAll = 64
// a provider may ask for more, but not for a day on the word of one answer
const longestQuietMs = 600_000

/**
 * Shares out the places: a provider that does not answer gets one until it does, so that it wastes little of what others
 * could use, and one that asked for quiet (Retry-After) gets none until that is over.
 */
export function createProviderPlaces(monotonicMs: () => number): ProviderPlaces {
  const taken = new Map<string, number>()
  const troubled = new Map<string, { readonly quietUntilMs: number }>()

  const placesOf = (providerId: string): number => {
    const trouble = troubled.get(providerId)
    if (trouble === undefined) return perProvider
    return trouble.quietUntilMs > monotonicMs() ? 0 : 1
  }
  return {
    take: (providerId) => void taken.set(providerId, (taken.get(providerId) ?? 0) + 1),
    giveBack(providerId, outcome) {
      const left = (taken.get(providerId) ?? 1) - 1
      if (left > 0) taken.set(providerId, left)
      else taken.delete(providerId)
      if (outcome === undefined) return
      if (outcome.hasAnswered) {
        troubled.delete(providerId)
        return
      }
      const quietMs = Math.min((outcome.retryAfterSeconds ?? 0) * 1000, longestQuietMs)
      troubled.set(providerId, { quietUntilMs: monotonicMs() + quietMs })
    },
    free: () => inAll - [...taken.values()].reduce((sum, count) => sum + count, 0),
    exceptions: () =>
      new Map(
        [...new Set([...taken.keys(), ...troubled.keys()])].map((id) => [
          id,
          Math.max(0, placesOf(id) - (taken.get(id) ?? 0)),
        ]),
      ),
  }
}
