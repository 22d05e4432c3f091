import { setTimeout as delay } from 'node:timers/promises'
import { AppError } from '@nexus/service'
import type { Origin } from '../audit/audit-event.ts'
import type { AttemptResult } from './attempt-result.ts'
import { claimToken } from './claim-store.ts'
import { type TokenState, selectTokenState } from './observe-store.ts'
import type { RefreshEngine } from './refresh-engine.ts'
import { freshForSeconds } from './schedule.ts'

/**
 * Refreshes the connection's token now, or waits for the refresh that is under way, on whichever Broker it runs.
 *
 * @param patienceMs - how long this caller waits; what is under way goes on without it.
 * @throws AppError `connection_not_found`, `connection_not_active`, `static_credential`, `attention_required` (its user must reconnect),
 *   `provider_rejected` (the operator must fix the profile), `provider_unavailable` (later), `refresh_in_progress`,
 *   `vault_integrity`, `key_unavailable`, `unavailable`
 */
export type RefreshConnection = (connectionId: string, origin: Origin, patienceMs: number) => Promise<void>

/** As long as anybody waits: a lease, in the end, is over by then. */
const longestWaitMs = 25_000
const firstPollMs = 100
const slowestPollMs = 1_000

export function createRefreshConnection(engine: RefreshEngine): RefreshConnection {
  return async (connectionId, origin, patienceMs) => {
    const deadline = performance.now() + patienceMs
    for (;;) {
      // whoever asks at the same time shares one flight, and one poll
      const flight =
        engine.flights.get(connectionId) ??
        engine.fly(connectionId, () => refreshOnDemand(engine, connectionId, origin))
      const result = await waitUntil(flight, deadline)
      if (result.kind === 'lost') continue
      const error = toError(result)
      if (error !== undefined) throw error
      return
    }
  }
}

async function waitUntil(flight: Promise<AttemptResult>, deadline: number): Promise<AttemptResult> {
  const patience = new AbortController()
  try {
    const left = Math.max(0, deadline - performance.now())
    const result = await Promise.race([flight, delay(left, undefined, { signal: patience.signal })])
    if (result === undefined) throw inProgress()
    return result
  } finally {
    patience.abort()
  }
}

/** What a waiter saw of the attempt it waits for. */
type Awaited = { readonly version: number; readonly leaseEpoch: number }

/** Claims the token and follows it through; while somebody else holds it, waits for what that comes to. */
async function refreshOnDemand(engine: RefreshEngine, connectionId: string, origin: Origin): Promise<AttemptResult> {
  const deadline = performance.now() + longestWaitMs
  let awaited: Awaited | undefined
  for (let pause = firstPollMs; ; pause = Math.min(pause * 2, slowestPollMs)) {
    const state = await selectTokenState(engine.deps.database, connectionId)
    assertRefreshable(state)
    if (isRefreshed(state, awaited)) return { kind: 'refreshed' }
    if (!state.isLeased) {
      const recorded = readRecorded(state, awaited)
      if (recorded !== undefined) return recorded
      const result = await claimAndFollow(engine, connectionId, state, origin, deadline)
      if (result !== undefined && result.kind !== 'lost') return result
    }
    // a lease that was taken since this look has the next epoch; what an earlier one came to is not its outcome
    awaited ??= { version: state.version, leaseEpoch: state.leaseEpoch + (state.isLeased ? 0 : 1) }
    if (engine.isPaused()) throw unavailable()
    if (performance.now() > deadline) throw inProgress()
    await delay(pause)
  }
}

type Refreshable = TokenState & { readonly version: number; readonly leaseEpoch: number }

function assertRefreshable(state: TokenState | undefined): asserts state is Refreshable {
  if (state === undefined) throw new AppError('connection_not_found', 'There is no such connection.')
  const { status, statusReason } = state
  if (state.isStatic) {
    throw new AppError(
      'static_credential',
      'This credential was typed in: there is nothing to refresh. Read it as it is.',
    )
  }
  if (status === 'attention_required') throw attentionRequired(statusReason)
  if (status !== 'active' || state.version === null || state.leaseEpoch === null) {
    throw new AppError('connection_not_active', `The connection is ${status}.`, { details: { status } })
  }
}

function isRefreshed({ version, secondsSinceRefresh }: Refreshable, awaited: Awaited | undefined): boolean {
  if (awaited !== undefined && version > awaited.version) return true
  return secondsSinceRefresh !== null && secondsSinceRefresh < freshForSeconds
}

/**
 * What the attempt came to that somebody waited for; or, whoever asks: the provider may have named the time before which
 * it does not want to be asked (Retry-After), or is to be spared because it punishes a second presentation.
 */
function readRecorded(state: Refreshable, awaited: Awaited | undefined): AttemptResult | undefined {
  const isAwaited = awaited !== undefined && (state.attemptEpoch ?? -1) >= awaited.leaseEpoch
  const retryInSeconds = Math.max(state.retryInSeconds ?? 0, state.sparedForSeconds ?? 0)
  if (!isAwaited && retryInSeconds <= 0) return undefined
  return state.attemptOutcome === 'client_refused'
    ? { kind: 'client_refused', error: undefined }
    : { kind: 'transient', retryInSeconds: Math.max(1, retryInSeconds) }
}

/** @returns undefined where somebody else was faster */
async function claimAndFollow(
  engine: RefreshEngine,
  connectionId: string,
  { providerId, profileRevision }: TokenState,
  origin: Origin,
  deadline: number,
): Promise<AttemptResult | undefined> {
  const { database, breakers, slots } = engine.deps
  const findObstacle = (): AttemptResult | undefined => {
    if (engine.isPaused()) throw unavailable()
    if (breakers.allowance(providerId, profileRevision) > 0) return undefined
    return { kind: 'transient', retryInSeconds: Math.max(1, breakers.secondsUntilTry(providerId)) }
  }
  const obstacle = findObstacle()
  if (obstacle !== undefined) return obstacle
  const isInTurn = await slots.takeInTurn(providerId, deadline - performance.now())
  if (!isInTurn) throw inProgress()
  let isFollowed = false
  try {
    // much may have happened while it waited for its turn
    const newObstacle = findObstacle()
    if (newObstacle !== undefined) return newObstacle
    const claim = await claimToken(database, engine.owner, connectionId, engine.mayTakeOver())
    if (claim === undefined) return undefined
    isFollowed = true
    return await engine.follow(claim, origin)
  } finally {
    if (!isFollowed) slots.giveBack(providerId)
  }
}

function toError(result: Exclude<AttemptResult, { kind: 'lost' }>): AppError | undefined {
  switch (result.kind) {
    case 'refreshed':
      return undefined
    case 'attention_required':
      return attentionRequired(result.reason)
    case 'not_renewable':
      return new AppError(
        'attention_required',
        'The provider gave no refresh token: only the user can renew this token.',
        { details: { reason: 'no_refresh_token' } },
      )
    case 'client_refused':
      return new AppError(
        'provider_rejected',
        'The provider refuses the client of this profile; its operator must fix it.',
        { details: { error: result.error } },
      )
    case 'transient':
      return new AppError('provider_unavailable', 'The provider cannot refresh the token right now.', {
        retryAfterSeconds: result.retryInSeconds,
      })
    case 'unopened':
      return result.error
    case 'kept':
      return unavailable()
  }
}

function attentionRequired(reason: string | null): AppError {
  return new AppError('attention_required', 'The user must reconnect this account.', { details: { reason } })
}

function inProgress(): AppError {
  return new AppError('refresh_in_progress', 'The token is being refreshed; ask again shortly.', {
    retryAfterSeconds: 2,
  })
}

function unavailable(): AppError {
  return new AppError('unavailable', 'Tokens cannot be refreshed right now; try again shortly.', {
    retryAfterSeconds: 2,
  })
}
