import type { Logger } from '@nexus/service'
import { type AuditEvent, type Origin, systemOrigin } from '../audit/audit-event.ts'
import { recordEvent } from '../audit/record-event.ts'
import type { OAuthCredentials } from '../connections/credential-set.ts'
import { narrowScopes, requireAttention } from '../connections/refresh-effects.ts'
import type { Database, Queryable } from '../db/database.ts'
import type { NoticeRecorder } from '../notices/notice-recorder.ts'
import { clearAlarm, noteRotation, raiseAlarm } from '../providers/provider-health.ts'
import { queueRevocation } from '../revocations/queue-revocation.ts'
import type { SecretVault } from '../vault/secret-vault.ts'
import type { AttemptResult } from './attempt-result.ts'
import type { Checkpoint } from './checkpoint.ts'
import { selectTokenState } from './observe-store.ts'
import * as store from './outcome-store.ts'

export type RecordDeps = {
  readonly database: Database
  readonly vault: SecretVault
  readonly createId: () => string
  readonly notices: NoticeRecorder
  readonly logger: Logger
  readonly checkpoint: Checkpoint
  readonly countLeaseLost: () => void
}

/** Which attempt an outcome belongs to, and who asked for it. It can be written down: there is no secret in it. */
export type AttemptFacts = store.AttemptKey & {
  readonly zone: string
  readonly providerId: string
  readonly origin: Origin
}

/** A refreshed grant as it is to be stored, whatever of the old one it keeps merged in. */
export type RefreshedGrant = store.RefreshedToken & {
  /** As the provider stated them; null: it stated none. */
  readonly grantedScopes: readonly string[] | null
  /** The provider gave a new refresh token, and was not known to do so. */
  readonly isFirstRotation: boolean
  readonly endsAlarm: boolean
}

// Each of these is one transaction and idempotent: after a commit whose acknowledgement was lost it finds that its
// attempt no longer counts, and says so (R4).

/** Stores what the provider granted, where the attempt still counts; else sees to it that nothing living is forgotten. */
export async function recordRefreshed(
  deps: RecordDeps,
  facts: AttemptFacts,
  grant: RefreshedGrant,
): Promise<AttemptResult> {
  const { connectionId, providerId, version } = facts
  const isStored = await deps.database.transaction(async (transaction) => {
    if (!(await store.updateRefreshedToken(transaction, deps.vault, facts, grant))) return false
    if (grant.grantedScopes !== null) await narrowScopes(transaction, connectionId, grant.grantedScopes)
    if (grant.isFirstRotation) await noteRotation(transaction, providerId)
    if (grant.endsAlarm) await clearAlarm(transaction, deps.notices, providerId)
    await record(deps, transaction, { ...facts, version: version + 1 }, 'token_refreshed', 'success')
    await deps.checkpoint('storing', connectionId)
    return true
  })
  await deps.checkpoint('stored', connectionId)
  return isStored ? { kind: 'refreshed' } : dropRefused(deps, facts, grant.credentials)
}

/**
 * The attempt no longer counts. A newer token, of another Broker or another grant, is never overwritten, and this one is
 * not revoked: a revocation could end the newer grant with it (RFC 7009 §2.1). Only where the connection was
 * disconnected is nothing else alive, so that this one is owed a revocation (data.md, Refresh 10).
 */
async function dropRefused(
  deps: RecordDeps,
  facts: AttemptFacts,
  credentials: OAuthCredentials,
): Promise<AttemptResult> {
  const state = await selectTokenState(deps.database, facts.connectionId)
  if (state?.status !== 'revoked') {
    // whoever else wrote the next version took the lease for it, or ended ours: this is our own commit, unacknowledged
    const isOurs = state?.version === facts.version + 1 && state.leaseEpoch === facts.leaseEpoch
    if (!isOurs) noteLost(deps, facts, 'a refreshed token was dropped for a newer grant')
    return { kind: 'lost' }
  }
  noteLost(deps, facts, 'a refreshed token arrived after its connection was disconnected; it will be revoked')
  const { connectionId, providerId, zone } = facts
  const { refreshToken, accessToken } = credentials
  await deps.database.transaction((transaction) =>
    queueRevocation(deps, transaction, { connectionId, providerId, zone, tokens: { refreshToken, accessToken } }),
  )
  return { kind: 'lost' }
}

/** The grant is over: only its user can help, and hears of it once. */
export async function recordEnded(deps: RecordDeps, facts: AttemptFacts, reason: string): Promise<AttemptResult> {
  const isRecorded = await deps.database.transaction(async (transaction) => {
    if (!(await store.updateEndedToken(transaction, facts))) return false
    if (!(await requireAttention(transaction, deps.notices, facts.connectionId, reason))) return false
    await record(deps, transaction, facts, 'token_refresh_fatal', reason)
    return true
  })
  if (isRecorded) return { kind: 'attention_required', reason }
  deps.countLeaseLost()
  return { kind: 'lost' }
}

export type RecordedFailure = store.FailedAttempt & {
  /** For the audit. */
  readonly reason: string
  /** The provider refuses our client with this, and not for one token alone: an alarm on its profile. */
  readonly alarm: string | undefined
}

/** The token stays as it is, and nobody asks again before its time. */
export async function recordFailed(
  deps: RecordDeps,
  facts: AttemptFacts,
  failure: RecordedFailure,
): Promise<AttemptResult> {
  const isRecorded = await deps.database.transaction(async (transaction) => {
    if (!(await store.updateFailedAttempt(transaction, facts, failure))) return false
    if (failure.alarm !== undefined) await raiseAlarm(transaction, deps.notices, facts.providerId, failure.alarm)
    await record(deps, transaction, facts, 'token_refresh_failed', failure.reason)
    return true
  })
  if (!isRecorded) {
    deps.countLeaseLost()
    return { kind: 'lost' }
  }
  return failure.outcome === 'client_refused'
    ? { kind: 'client_refused', error: failure.reason }
    : { kind: 'transient', retryInSeconds: failure.retryInSeconds }
}

function record(
  deps: RecordDeps,
  transaction: Queryable,
  { zone, connectionId, providerId, version, origin }: AttemptFacts,
  event: AuditEvent['event'],
  outcome: string,
): Promise<void> {
  const about = { zone, connectionId, providerId, tokenVersion: version }
  // of what nobody can be asked to do once more, the Broker itself is the author
  const author = outcome === 'no_refresh_token' || outcome === 'restored' ? systemOrigin : origin
  return recordEvent(transaction, deps.createId(), { event, outcome, origin: author, ...about })
}

function noteLost(deps: RecordDeps, facts: AttemptFacts, message: string): void {
  deps.countLeaseLost()
  deps.logger.info({ connection_id: facts.connectionId, token_version: facts.version }, message)
}
