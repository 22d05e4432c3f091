import { setTimeout as delay } from 'node:timers/promises'
import { systemOrigin } from '../audit/audit-event.ts'
import { type BackgroundLoop, startBackgroundLoop } from '../maintenance/background-loop.ts'
import type { AttemptResult } from './attempt-result.ts'
import { type Claim, type FreeSlots, claimAbandonedTokens, claimDueTokens, releaseClaim } from './claim-store.ts'
import type { RefreshEngine } from './refresh-engine.ts'

const everyMs = 1_000
// a claim for one token costs the database as much as one for thirty
const gatherMs = 20
const longestPauseMs = 250

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
  const found = countFreeSlots(engine)
  if (found.total === 0) return pauseForSlots([], signal)
  const abandoned = engine.mayTakeOver() ? await claimAbandonedTokens(database, engine.owner, found) : []
  const resumed = followAll(engine, abandoned)
  const left = countFreeSlots(engine)
  const due = left.total === 0 ? [] : await claimDueTokens(database, engine.owner, left)
  const begun = [...resumed, ...followAll(engine, due)]
  return begun.length > 0 && pauseForSlots(begun, signal)
}

function countFreeSlots({ deps: { breakers, slots } }: RefreshEngine): FreeSlots {
  const providers = new Set([...slots.busy(), ...breakers.states().keys()])
  const byProvider = new Map(
    [...providers].map((id) => [id, Math.min(slots.free(id), breakers.allowance(id))] as const),
  )
  return { usual: slots.perProvider, byProvider, total: slots.freeInAll() }
}

/** @returns promises that resolve when each has ended, however it did */
function followAll(engine: RefreshEngine, claims: readonly Claim[]): readonly Promise<void>[] {
  return claims.map(async (claim) => {
    // callers may have taken what was free when this claim was made
    const work = engine.deps.slots.tryTake(claim.providerId)
      ? () => engine.follow(claim, systemOrigin)
      : () => giveBack(engine, claim)
    try {
      await engine.fly(claim.connectionId, work)
    } catch (error) {
      engine.deps.logger.error({ err: error, connection_id: claim.connectionId }, 'a refresh in the background failed')
    }
  })
}

async function giveBack({ deps }: RefreshEngine, claim: Claim): Promise<AttemptResult> {
  await releaseClaim(deps.database, claim)
  return { kind: 'lost' }
}

/** Until half of what was begun has ended: providers that hang keep their own slots, and hold up nobody else's. */
async function pauseForSlots(begun: readonly Promise<void>[], signal: AbortSignal): Promise<boolean> {
  let ended = 0
  for (const flight of begun) void flight.then(() => (ended += 1))
  const leastMs = begun.length === 0 ? longestPauseMs : gatherMs
  const until = performance.now() + longestPauseMs
  do await delay(leastMs)
  while (ended < begun.length / 2 && performance.now() < until && !signal.aborted)
  return true
}
