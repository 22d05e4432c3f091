import type { Logger } from '@nexus/service'
import { recordEvent } from '../audit/record-event.ts'
import { type GrantDeps, activateConnection, failConnection } from '../connections/activate-connection.ts'
import { isDisconnected } from '../connections/disconnect-connection.ts'
import type { Database, Queryable } from '../db/database.ts'
import { retryWhileAway } from '../db/retry-while-away.ts'
import type { TokenGrant } from '../oauth/provider-client.ts'
import { ProviderError } from '../oauth/provider-errors.ts'
import type { Provider } from '../providers/provider.ts'
import { queueRevocation } from '../revocations/queue-revocation.ts'
import type { AcceptedCallback, BoundCallback } from './callback-answer.ts'
import * as store from './store.ts'

export type OutcomeDeps = GrantDeps & {
  readonly database: Database
  readonly createId: () => string
  readonly logger: Logger
}

export type Granted = {
  readonly provider: Provider
  readonly grant: TokenGrant
  readonly callbackParams: Readonly<Record<string, unknown>>
}

/** How a handshake ends without a grant. */
export type Conclusion = {
  readonly event: 'oauth_error' | 'token_exchange_failed' | 'id_token_verification_failed'
  /** `status_reason` of the connection, and the audit's outcome. */
  readonly reason: string
  /** `error` in the return URL. */
  readonly returnError: string
  readonly data?: Readonly<Record<string, unknown>>
}

// a spent code cannot be presented again: its answer is worth waiting for a database that restarts
const storeForMs = 60_000

/**
 * Stores what a code was exchanged for: connection, token, outcome and audit in one transaction, tried again while the
 * database is away. Idempotent: after a commit whose acknowledgement was lost it finds its own outcome (R4).
 * @returns false where this handshake ended otherwise; the grant is dropped then, or revoked if the connection was
 *   disconnected meanwhile.
 */
export function storeGrant(deps: OutcomeDeps, bound: AcceptedCallback, granted: Granted): Promise<boolean> {
  const { attempt } = bound
  const about = aboutOf(bound)
  const work = () =>
    deps.database.transaction(async (transaction) => {
      const recorded = await store.lockOutcome(transaction, attempt)
      if (recorded === 'superseded') await revokeIfDisconnected(deps, transaction, bound, granted)
      if (recorded !== 'open') return recorded === 'success'
      const activation = { connectionId: attempt.connectionId, askedScopes: attempt.scopes, ...granted }
      const isActivated = await activateConnection(deps, transaction, activation)
      const error = isActivated ? undefined : 'already_completed'
      await store.updateOutcome(transaction, attempt, isActivated ? 'success' : 'error', error)
      const event = isActivated
        ? ({ event: 'oauth_flow_completed', outcome: 'success', tokenVersion: 1, ...about } as const)
        : ({ event: 'oauth_error', outcome: 'already_completed', ...about } as const)
      await recordEvent(transaction, deps.createId(), event)
      if (!isActivated) await revokeIfDisconnected(deps, transaction, bound, granted)
      return isActivated
    })
  return retryWhileAway(work, { forMs: storeForMs, onRetry: noteRetry(deps, bound, 'a grant waits to be stored') })
}

/**
 * A grant that came after its connection was disconnected would live on at the provider with nobody to end it. One that
 * merely came too late is left alone: revoking it could end the grant that was stored (RFC 7009 §2.1).
 */
async function revokeIfDisconnected(
  deps: OutcomeDeps,
  transaction: Queryable,
  { attempt }: BoundCallback,
  { grant }: Granted,
): Promise<void> {
  const { connectionId, providerId, zone } = attempt
  if (!(await isDisconnected(transaction, connectionId))) return
  await queueRevocation(deps, transaction, { connectionId, providerId, zone, tokens: grant })
}

/**
 * Ends an accepted handshake without a grant: its connection fails, with the reason.
 * @returns false where another attempt has taken over: then it is not this one's to end.
 */
export function concludeHandshake(
  deps: OutcomeDeps,
  bound: AcceptedCallback,
  conclusion: Conclusion,
): Promise<boolean> {
  const { attempt } = bound
  const { event, reason, returnError, data } = conclusion
  const work = () =>
    deps.database.transaction(async (transaction) => {
      const recorded = await store.lockOutcome(transaction, attempt)
      if (recorded !== 'open') return recorded === 'error'
      await store.updateOutcome(transaction, attempt, 'error', returnError)
      await failConnection(transaction, attempt.connectionId, reason)
      await recordEvent(transaction, deps.createId(), { event, outcome: reason, data, ...aboutOf(bound) })
      return true
    })
  return retryWhileAway(work, { forMs: storeForMs, onRetry: noteRetry(deps, bound, 'an outcome waits to be stored') })
}

/** What a failed exchange means to the connection, to the app and to the audit. Codes only, no text of the provider (P5). */
export function concludeFrom(error: unknown): Conclusion {
  if (!(error instanceof ProviderError)) {
    return { event: 'token_exchange_failed', reason: 'internal', returnError: 'internal' }
  }
  const data = { kind: error.kind, error: error.oauthError, status: error.status }
  if (error.kind === 'id_token') {
    return { event: 'id_token_verification_failed', reason: 'id_token_invalid', returnError: 'provider_rejected', data }
  }
  const isAway = error.kind === 'unavailable' || error.kind === 'address'
  const returnError = isAway ? 'provider_unavailable' : 'provider_rejected'
  return { event: 'token_exchange_failed', reason: returnError, returnError, data }
}

function aboutOf({ attempt, origin }: BoundCallback) {
  const { zone, connectionId, providerId } = attempt
  return { origin, zone, connectionId, providerId }
}

/** What is said while a statement waits for the database to return. */
export function noteRetry(deps: Pick<OutcomeDeps, 'logger'>, bound: BoundCallback, message: string) {
  return (error: unknown): void => {
    deps.logger.error({ err: error, connection_id: bound.attempt.connectionId }, message)
  }
}
