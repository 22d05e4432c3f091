import { startBackgroundLoop } from '../maintenance/background-loop.ts'
import { type AttemptRevocationDeps, type Attempted, attemptClaimed } from './attempt-revocation.ts'
import { type PlaceOutcome, createProviderPlaces, perProvider } from './provider-places.ts'
import * as store from './store.ts'

export type RevocationWorkerDeps = AttemptRevocationDeps & { readonly monotonicMs: () => number }

export type RevocationWorker = AsyncDisposable & {
  /** Revocations owed, by all Brokers together, as of a few seconds ago. */
  readonly owed: () => number
}

const everyMs = 2_000
const attemptMs = 10_000
// longer than an attempt and what is written around it: only whoever is dead or paused loses a row
const leaseSeconds = 60
const countEveryMs = 10_000

/**
 * Works off what is owed, in every Broker: takes due rows as far as it has places for their providers, and goes on
 * without waiting for the slow ones. Disposing of it gives up what is under way; that comes due again.
 */
export function startRevocationWorker(deps: RevocationWorkerDeps): RevocationWorker {
  const { database, logger, monotonicMs, random } = deps
  const places = createProviderPlaces(monotonicMs)
  const stopping = new AbortController()
  const running = new Set<Promise<void>>()
  let hasFreedPlace = false
  let owed = 0
  let countedAtMs = -Infinity

  const attempt = async (claimed: store.ClaimedRevocation): Promise<void> => {
    const signal = AbortSignal.any([stopping.signal, AbortSignal.timeout(attemptMs)])
    const outcome = await attemptClaimed(deps, claimed, signal).catch((error: unknown) => {
      logger.warn({ err: error, connection_id: claimed.connectionId }, 'a revocation failed; it will be tried again')
      return undefined
    })
    places.giveBack(claimed.providerId, toPlaceOutcome(outcome))
    hasFreedPlace = true
    loop.wake()
  }
  const begin = (claimed: store.ClaimedRevocation): void => {
    places.take(claimed.providerId)
    const started = attempt(claimed).finally(() => running.delete(started))
    running.add(started)
  }
  const work = async (): Promise<boolean> => {
    hasFreedPlace = false
    const limits = { total: places.free(), perProvider, exceptions: places.exceptions(), leaseSeconds }
    for (const claimed of await store.claimRevocations(database, limits)) begin(claimed)
    if (monotonicMs() - countedAtMs >= countEveryMs) {
      owed = await store.countRevocations(database)
      countedAtMs = monotonicMs()
    }
    // a place that was given back during this round could not wake the loop
    return hasFreedPlace
  }
  const loop = startBackgroundLoop({ name: 'revoke what is owed', everyMs, work, logger, random })

  return {
    owed: () => owed,
    async [Symbol.asyncDispose]() {
      loop.stop()
      stopping.abort()
      await loop[Symbol.asyncDispose]()
      await Promise.all(running)
    },
  }
}

function toPlaceOutcome(attempted: Attempted | undefined): PlaceOutcome | undefined {
  if (attempted === undefined || attempted.kind === 'abandoned') return undefined
  const isOwed = attempted.kind === 'owed'
  return { hasAnswered: !isOwed, retryAfterSeconds: isOwed ? attempted.retryAfterSeconds : undefined }
}
