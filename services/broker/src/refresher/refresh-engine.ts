import { setTimeout as delay } from 'node:timers/promises'
import type { Origin } from '../audit/audit-event.ts'
import { type AttemptDeps, attemptRefresh } from './attempt-refresh.ts'
import type { AttemptResult, Ending } from './attempt-result.ts'
import type { CallVerdict, CircuitBreakers } from './circuit-breaker.ts'
import { type Claim, releaseClaim, releaseUnsent } from './claim-store.ts'
import type { AnswerKeeper } from './keep-answers.ts'
import type { ProviderSlots } from './provider-slots.ts'
import { type SettleDeps, settleRefresh } from './settle-refresh.ts'

export type EngineDeps = Omit<AttemptDeps, 'settle'> &
  SettleDeps & {
    readonly breakers: CircuitBreakers
    readonly slots: ProviderSlots
    readonly keeper: AnswerKeeper
    readonly observeRefresh: (provider: string, seconds: number) => void
  }

/**
 * The refreshes that this process has under way. However many ask, and whoever begins it, a connection has one flight at
 * a time here; between processes the lease decides (data.md, Refresh).
 */
export type RefreshEngine = {
  readonly deps: EngineDeps
  /** This process, as leases name it. */
  readonly owner: string
  readonly flights: ReadonlyMap<string, Promise<AttemptResult>>
  /** Registers work on a connection until it ends. */
  readonly fly: (connectionId: string, work: () => Promise<AttemptResult>) => Promise<AttemptResult>
  /** Follows a claim through. Its slot is taken already, and given back here. */
  readonly follow: (claim: Claim, origin: Origin) => Promise<AttemptResult>
  /** False in the first seconds after the database returned: another Broker may hold the answer and be about to store it. */
  readonly mayTakeOver: () => boolean
  /** Nothing is to be claimed: the database is away with an answer waiting for it, or this process is about to end. */
  readonly isPaused: () => boolean
  /** From now on nothing is claimed. */
  readonly stop: () => void
  /**
   * Gives back what is not sent yet, and waits for what is, and for the database to take it, until `deadlineMs`
   * (monotonic).
   * @throws Error as AnswerKeeper.giveUp, and one that names what did not end in time: another Broker finds out about it
   */
  readonly drain: (deadlineMs: number) => Promise<void>
}

const takeOverAfterMs = 10_000

export function createRefreshEngine(deps: EngineDeps): RefreshEngine {
  const owner = deps.createId()
  const flights = new Map<string, Promise<AttemptResult>>()
  let isStopped = false

  return {
    deps,
    owner,
    flights,
    fly(connectionId, work) {
      const flight = work().finally(() => {
        if (flights.get(connectionId) === flight) flights.delete(connectionId)
      })
      // who waits for it hears of its failure; nobody must
      flight.catch(() => undefined)
      flights.set(connectionId, flight)
      return flight
    },
    async follow(claim, origin) {
      const call = deps.breakers.begin(claim)
      const began = deps.monotonicMs()
      const settle: AttemptDeps['settle'] = (attempt, ending) => {
        // others need not wait until it is recorded
        call?.end(verdictOf(ending))
        const { opened } = attempt
        if (opened !== undefined) deps.observeRefresh(opened.provider.name, (deps.monotonicMs() - began) / 1000)
        return settleRefresh(deps, attempt, ending)
      }
      try {
        return await (call === undefined ? leaveAlone(deps, claim) : attemptRefresh({ ...deps, settle }, claim, origin))
      } finally {
        call?.end({ kind: 'unclear' })
        deps.slots.giveBack(claim.providerId)
      }
    },
    mayTakeOver: () => deps.database.msSinceRegained() > takeOverAfterMs,
    isPaused: () => isStopped || deps.keeper.isHolding(),
    stop: () => void (isStopped = true),
    async drain(deadlineMs) {
      isStopped = true
      const isInTime = (): boolean => deps.monotonicMs() < deadlineMs
      const left = Math.max(0, deadlineMs - deps.monotonicMs())
      const givingBack = giveBackUnsent(deps, owner, [...flights.keys()])
      await Promise.race([givingBack, delay(left, undefined, { ref: false })])
      while (flights.size > 0 && isInTime()) await Promise.race([Promise.allSettled(flights.values()), delay(100)])
      while (deps.keeper.held() > 0 && isInTime()) await delay(100)
      await deps.keeper.giveUp()
      if (flights.size > 0) {
        throw new Error(`refreshes of these connections were cut off: ${[...flights.keys()].join(', ')}`)
      }
    },
  }
}

async function giveBackUnsent({ database, logger }: EngineDeps, owner: string, ids: readonly string[]): Promise<void> {
  if (ids.length === 0) return
  try {
    await releaseUnsent(database, owner, ids)
  } catch (error) {
    logger.warn({ err: error }, 'leases could not be given back; they lapse')
  }
}

/** Its circuit opened, or somebody else makes the one try, since this claim was thought of. */
async function leaveAlone({ database, breakers }: EngineDeps, claim: Claim): Promise<AttemptResult> {
  await releaseClaim(database, claim)
  return { kind: 'transient', retryInSeconds: Math.max(1, breakers.secondsUntilTry(claim.providerId)) }
}

function verdictOf(ending: Ending): CallVerdict {
  switch (ending.kind) {
    case 'refreshed':
      return { kind: 'works' }
    case 'client_refused':
      return { kind: 'refuses_client' }
    case 'transient':
      return ending.isProviderAway
        ? { kind: 'fails', retryAfterSeconds: ending.retryAfterSeconds }
        : { kind: 'unclear' }
    case 'grant_ended':
    case 'unopened':
    case 'not_renewable':
      return { kind: 'unclear' }
  }
}
