import { setTimeout as delay } from 'node:timers/promises'
import { systemOrigin } from '../audit/audit-event.ts'
import { type BackgroundLoop, startBackgroundLoop } from '../maintenance/background-loop.ts'
import { type Claim, type FreeSlots, claimAbandonedTokens, claimDueTokens } from './claim-store.ts'
import type { RefreshEngine } from './refresh-engine.ts'

const everyMs = 1_000
// a claim for one token costs the database as much as one for thirty
const gatherMs = 20
const longestPauseMs = 250
const maxAbandoned = 64

/**
 * Refreshes what is due, before anybody asks (data.md, Refresh 2 and 9): each second, and without a pause while there is
 * more. It claims no more than it can send at once, so nothing waits under a lease.
 */
export function startRefreshLoop(engine: RefreshEngine, random: () => number): BackgroundLoop {
  return startBackgroundLoop({
    name: 'refresh tokens',
    everyMs,
    work: (signal) => claimRound(engine, signal),
    logger: engine.deps.logger,
    random,
  })
}

/** @returns true where more may be due */
async function claimRound(engine: RefreshEngine, signal: AbortSignal): Promise<boolean> {
  if (engine.isPaused()) return false
  const { database } = engine.deps
  const free = countFreeSlots(engine)
  if (engine.mayTakeOver()) {
    const closed = [...free.byProvider].flatMap(([id, count]) => (count === 0 ? [id] : []))
    followAll(engine, await claimAbandonedTokens(database, engine.owner, closed, maxAbandoned))
  }
  if (free.total === 0) return pauseForSlots(engine, signal)
  const due = await claimDueTokens(database, engine.owner, free)
  followAll(engine, due)
  return due.length > 0 && pauseForSlots(engine, signal)
}

function countFreeSlots({ deps: { breakers, slots } }: RefreshEngine): FreeSlots {
  const providers = new Set([...slots.busy(), ...breakers.states().keys()])
  const byProvider = new Map(
    [...providers].map((id) => [id, Math.min(slots.free(id), breakers.allowance(id))] as const),
  )
  return { usual: slots.perProvider, byProvider, total: slots.freeInAll() }
}

function followAll(engine: RefreshEngine, claims: readonly Claim[]): void {
  for (const claim of claims) {
    engine.deps.slots.take(claim.providerId)
    const follow = () => engine.follow(claim, systemOrigin)
    engine.fly(claim.connectionId, follow).catch((error: unknown) => {
      engine.deps.logger.error({ err: error, connection_id: claim.connectionId }, 'a refresh in the background failed')
    })
  }
}

/** Until about half of what is under way has ended. */
async function pauseForSlots(engine: RefreshEngine, signal: AbortSignal): Promise<boolean> {
  const enough = engine.flights.size / 2
  const until = performance.now() + longestPauseMs
  do await delay(gatherMs)
  while (engine.flights.size > enough && performance.now() < until && !signal.aborted)
  return true
}
