import { toOAuthCredentials } from '../connections/activate-connection.ts'
import type { OAuthCredentials } from '../connections/credential-set.ts'
import { backoffSeconds } from '../maintenance/backoff.ts'
import type { TokenGrant } from '../oauth/provider-client.ts'
import type { Attempt } from './attempt-refresh.ts'
import type { AttemptResult, Ending } from './attempt-result.ts'
import type { CircuitBreakers } from './circuit-breaker.ts'
import { type Claim, releaseClaim } from './claim-store.ts'
import type { AnswerKeeper } from './keep-answers.ts'
import {
  type AttemptFacts,
  type RecordDeps,
  type RecordedFailure,
  type RefreshedGrant,
  recordEnded,
  recordFailed,
} from './record-outcome.ts'
import { type ScheduleSettings, lastMinuteSeconds, refreshAfter, retryDelay } from './schedule.ts'

export type SettleDeps = RecordDeps & {
  readonly schedule: ScheduleSettings
  readonly keeper: AnswerKeeper
  readonly breakers: Pick<CircuitBreakers, 'isRefusedAlone'>
  readonly countRefresh: (provider: string, outcome: string) => void
}

const hopelessAfterSeconds = 30 * 86_400
// the breaker keeps others away; nobody waits for long once its operator has mended the profile
const clientRefusedBackoff = { firstSeconds: 10, longestSeconds: 60 }
const unopenedSeconds = 60
// by a fault of ours; without a record of it the token would be presented again and again
const unstorable = {
  kind: 'transient',
  reason: 'internal',
  retryAfterSeconds: undefined,
  isOutcomeUnknown: true,
  isProviderAway: false,
} as const

/**
 * Turns how an attempt ended into what is recorded of it (data.md, Refresh 7 and 8). While the database is away the
 * outcome is kept and recorded later: an answer is never thrown away while nobody presented the token again.
 */
export async function settleRefresh(deps: SettleDeps, attempt: Attempt, ending: Ending): Promise<AttemptResult> {
  const { keeper } = deps
  const { claim, origin } = attempt
  const { connectionId, version, leaseEpoch, zone, providerId } = claim
  const facts: AttemptFacts = { connectionId, version, leaseEpoch, zone, providerId, origin }
  deps.countRefresh(claim.providerName, ending.kind)

  switch (ending.kind) {
    case 'refreshed':
      return keeper.storeOrKeep(facts, mergeGrant(deps, attempt, ending.grant), () =>
        settleFailure(deps, attempt, facts, unstorable),
      )
    case 'grant_ended':
      return keeper.recordOrKeep(facts, () => recordEnded(deps, facts, reasonOf(attempt, ending.error)))
    case 'not_renewable':
      await releaseClaim(deps.database, claim)
      return { kind: 'not_renewable' }
    case 'client_refused':
    case 'transient':
    case 'unopened':
      return settleFailure(deps, attempt, facts, ending)
  }
}

/** Whether a refused token was spent by a presentation that nobody answered, or ended by its provider, only its history tells. */
function reasonOf({ claim, opened }: Attempt, error: string): string {
  const isRefused = error === 'invalid_grant' || opened?.provider.fatalRefreshErrors.includes(error) === true
  const mayBeSpent = claim.isAbandoned || claim.isOutcomeUnknown
  return isRefused && mayBeSpent ? 'outcome_lost' : error
}

type FailedEnding = Exclude<Ending, { kind: 'refreshed' | 'grant_ended' | 'not_renewable' }>

async function settleFailure(
  deps: SettleDeps,
  attempt: Attempt,
  facts: AttemptFacts,
  ending: FailedEnding,
): Promise<AttemptResult> {
  const isHopeless = -(attempt.claim.secondsLeft ?? 0) > hopelessAfterSeconds
  if (isHopeless && ending.kind === 'transient') {
    return deps.keeper.recordOrKeep(facts, () => recordEnded(deps, facts, 'refresh_failing'))
  }
  const failure = describeFailure(deps, attempt, ending)
  const recorded = await deps.keeper.recordOrKeep(facts, () => recordFailed(deps, facts, failure))
  if (ending.kind === 'unopened') return { kind: 'unopened', error: ending.error }
  if (ending.kind === 'client_refused') logRefusal(deps, attempt.claim, failure)
  return recorded
}

function logRefusal(
  { logger }: SettleDeps,
  { providerName: provider, connectionId }: Claim,
  { alarm, reason: error }: RecordedFailure,
): void {
  if (alarm !== undefined) logger.error({ provider, error }, 'a provider refuses our client')
  else logger.warn({ provider, error, connection_id: connectionId }, 'a provider refuses our client for one connection')
}

function describeFailure(deps: SettleDeps, { claim, opened }: Attempt, ending: FailedEnding): RecordedFailure {
  // what an earlier presentation came to stays unknown until the provider says something definite
  const isOutcomeUnknown = claim.isAbandoned || (ending.kind === 'transient' && ending.isOutcomeUnknown)
  const shared = { outcome: 'transient', isOutcomeUnknown, alarm: undefined } as const
  switch (ending.kind) {
    case 'client_refused': {
      const isAlone = deps.breakers.isRefusedAlone(claim.providerId, claim.connectionId)
      const backoff = backoffSeconds(claim.failureCount + 1, clientRefusedBackoff, deps.schedule.random)
      const refusal = { outcome: 'client_refused', reason: ending.error, retryInSeconds: backoff } as const
      return { ...shared, ...refusal, alarm: isAlone ? undefined : ending.error }
    }
    case 'unopened':
      return { ...shared, reason: ending.error.code, retryInSeconds: unopenedSeconds }
    case 'transient': {
      const backoff = retryDelay(claim.failureCount + 1, ending.retryAfterSeconds, deps.schedule.random)
      const mustWait = isOutcomeUnknown && opened?.provider.refreshReuse === 'revokes'
      const untilLastMinute = mustWait ? (claim.secondsLeft ?? 0) - lastMinuteSeconds : 0
      return { ...shared, reason: ending.reason, retryInSeconds: Math.max(backoff, untilLastMinute) }
    }
  }
}

/** What a refresh does not repeat stays: the refresh token (RFC 6749 §6), the scope, and what was kept of the callback. */
function mergeGrant(deps: SettleDeps, { opened, credentials }: Attempt, grant: TokenGrant): RefreshedGrant {
  if (opened === undefined || credentials === undefined) throw new Error('a refreshed grant of an unopened attempt')
  const isRotated = grant.refreshToken !== undefined && grant.refreshToken !== credentials.refreshToken
  const kept = { ...grant, refreshToken: grant.refreshToken ?? credentials.refreshToken }
  const lifetime = grant.expiresInSeconds ?? opened.provider.defaultExpiresInSeconds
  return {
    credentials: keepUnrepeated(toOAuthCredentials(kept, { ...credentials.extra, ...grant.extra }), credentials),
    lifetimeSeconds: lifetime ?? null,
    refreshAfterSeconds: refreshAfter(lifetime, kept.refreshToken !== undefined, deps.schedule) ?? null,
    grantedScopes: grant.scopes ?? null,
    isFirstRotation: isRotated && !opened.rotates,
    endsAlarm: opened.provider.alarm !== undefined,
  }
}

function keepUnrepeated(fresh: OAuthCredentials, old: OAuthCredentials): OAuthCredentials {
  return { ...fresh, scope: fresh.scope ?? old.scope, idToken: fresh.idToken ?? old.idToken }
}
