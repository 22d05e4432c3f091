import type { Disconnected } from '@nexus/contracts'
import { AppError } from '@nexus/service'
import type { AuditEvent, Origin } from '../audit/audit-event.ts'
import { findEventsSince } from '../audit/list-events.ts'
import { recordEvent } from '../audit/record-event.ts'
import type { Queryable } from '../db/database.ts'
import { retryWhileAway } from '../db/retry-while-away.ts'
import { endHandshakes } from '../handshake/end-handshakes.ts'
import type { NoticeRecorder } from '../notices/notice-recorder.ts'
import { type AttemptRevocationDeps, type Attempted, attemptRevocation } from '../revocations/attempt-revocation.ts'
import { type OwedTokens, isRevocationOwed, queueRevocation } from '../revocations/queue-revocation.ts'
import { requireOAuth } from './credential-set.ts'
import * as store from './disconnect-store.ts'

export type DisconnectDeps = AttemptRevocationDeps & { readonly notices: NoticeRecorder }

const attemptMs = 5_000
// the attempt and what is written after it: whoever dies in between leaves the rest to the others from then on
const leaseSeconds = 15
const retryForMs = 2_000

const unsupported: Disconnected = { revoked_at_provider: false, revocation: 'unsupported' }
const queued: Disconnected = { revoked_at_provider: false, revocation: 'queued' }
const nothingToRevoke: Disconnected = { revoked_at_provider: false, revocation: 'done' }
const revoked: Disconnected = { revoked_at_provider: true, revocation: 'done' }

/**
 * Disconnects a connection for good: from its commit on nobody gets a token of it, and nothing that is in flight brings
 * one back. Then the provider is asked to revoke what it granted, at once for 5 seconds, later in the background (P6).
 * Asked again, it does nothing and tells what stands.
 * @throws AppError `connection_not_found`; `unavailable`: it may be asked again, whatever was done.
 */
export async function disconnectConnection(deps: DisconnectDeps, id: string, origin: Origin): Promise<Disconnected> {
  const taken = await takeOutOfUse(deps, id, { origin, firstAttemptInSeconds: leaseSeconds })
  if (taken.kind === 'not_taken') return tellWhatStands(deps.database, id)
  if (taken.kind === 'nothing_owed') return taken.revocation === 'none' ? nothingToRevoke : unsupported

  const { owed, tokens } = taken
  const signal = AbortSignal.timeout(attemptMs)
  const attempted = await attemptRevocation(deps, owed, tokens, signal, origin).catch((error: unknown) => {
    // disconnected it is, and what is owed is durable: that much is true whatever happened since
    deps.logger.warn({ err: error, connection_id: id }, 'a revocation failed; it will be tried again')
    return { kind: 'owed' } as const
  })
  return toAnswer(attempted.kind)
}

function toAnswer(kind: Attempted['kind']): Disconnected {
  if (kind === 'owed') return queued
  return kind === 'done' ? revoked : unsupported
}

export type TakingOptions = {
  readonly origin: Origin
  /** What else the audit is to tell. */
  readonly cause?: string
  /** Leaves the caller the time for an attempt of its own. */
  readonly firstAttemptInSeconds: number
}

export type Taken =
  /** There is no such connection, or somebody has disconnected it before. */
  | { readonly kind: 'not_taken' }
  /** `none`: nothing was granted; `unsupported`: it cannot be revoked. */
  | { readonly kind: 'nothing_owed'; readonly revocation: 'none' | 'unsupported' }
  | { readonly kind: 'owed'; readonly owed: Parameters<typeof attemptRevocation>[1]; readonly tokens: OwedTokens }

/**
 * One transaction that waits for no lease and no network: the connection is revoked, its secrets leave the vault, its
 * handshakes end, what is owed to the provider is sealed, the audit and the notice are written. A refresh in flight finds
 * no row to write to (data.md, Refresh 10).
 *
 * Rows are locked in the order in which handshakes and refreshes lock them: handshakes, token, connection.
 */
export function takeOutOfUse(deps: DisconnectDeps, id: string, options: TakingOptions): Promise<Taken> {
  const work = () =>
    deps.database.transaction(async (transaction): Promise<Taken> => {
      await endHandshakes(transaction, id)
      const removed = await store.deleteToken(transaction, deps.vault, id)
      const connection = await store.updateToRevoked(transaction, id)
      if (connection === undefined) return { kind: 'not_taken' }

      const revocation = chooseRevocation(connection, removed)
      await recordEvent(transaction, deps.createId(), describe(id, connection, removed, options, revocation))
      await deps.notices.aboutConnection(transaction, 'connection.revoked', id)
      if (removed.kind !== 'opened' || revocation !== 'queued') {
        return { kind: 'nothing_owed', revocation: revocation === 'none' ? 'none' : 'unsupported' }
      }
      return queue(deps, transaction, { id, connection, tokens: requireOAuth(removed.credentials) }, options)
    })
  // after an acknowledgement that was lost it finds what it did before (R4)
  return retryWhileAway(work, {
    forMs: retryForMs,
    onRetry: (error) => deps.logger.warn({ err: error, connection_id: id }, 'a disconnection waits for the database'),
  })
}

function chooseRevocation(
  { isProviderAsked }: store.RevokedConnection,
  removed: store.RemovedToken,
): 'none' | 'unsupported' | 'queued' {
  if (removed.kind === 'none') return 'none'
  const isGrant = removed.kind === 'opened' && removed.credentials.kind === undefined
  return isProviderAsked && isGrant ? 'queued' : 'unsupported'
}

function describe(
  connectionId: string,
  { zone, providerId }: store.RevokedConnection,
  removed: store.RemovedToken,
  { origin, cause }: TakingOptions,
  revocation: string,
): AuditEvent {
  const reason = removed.kind === 'unreadable' ? { reason: removed.reason } : {}
  return {
    event: 'connection.disconnected',
    outcome: 'success',
    origin,
    zone,
    connectionId,
    providerId,
    tokenVersion: removed.kind === 'none' ? undefined : removed.version,
    data: { revocation, ...reason, ...(cause !== undefined && { cause }) },
  }
}

async function queue(
  deps: DisconnectDeps,
  transaction: Queryable,
  taken: { readonly id: string; readonly connection: store.RevokedConnection; readonly tokens: OwedTokens },
  { origin, firstAttemptInSeconds }: TakingOptions,
): Promise<Taken> {
  const { refreshToken, accessToken } = taken.tokens
  const tokens = { refreshToken, accessToken }
  const { zone, providerId } = taken.connection
  const about = { connectionId: taken.id, zone, providerId }
  const id = await queueRevocation(deps, transaction, { ...about, tokens, origin }, firstAttemptInSeconds)
  return { kind: 'owed', owed: { id, ...about, attempts: 1, refreshTokenOutcome: null }, tokens }
}

const conclusions = ['revocation.done', 'revocation.refused', 'revocation.unsupported', 'revocation.abandoned'] as const

/**
 * What became of the revocation, for whoever disconnects again: `queued` while anything is owed, `done` where the audit
 * tells so and nothing else. What the audit has forgotten counts as not revoked: better than to claim it.
 */
async function tellWhatStands(database: Queryable, id: string): Promise<Disconnected> {
  const since = await store.selectRevokedSince(database, id)
  if (since === undefined) throw new AppError('connection_not_found', 'There is no such connection.')
  if (since === null) {
    throw new AppError('unavailable', 'The connection keeps changing; try again shortly.', { retryAfterSeconds: 1 })
  }
  if (await isRevocationOwed(database, id)) return queued
  const recorded = await findEventsSince(database, id, since, ['connection.disconnected', ...conclusions])
  const concluded = recorded.filter(({ event }) => event !== 'connection.disconnected')
  if (concluded.length > 0) return concluded.every(({ event }) => event === 'revocation.done') ? revoked : unsupported
  return recorded.some(({ data }) => data['revocation'] === 'none') ? nothingToRevoke : unsupported
}
