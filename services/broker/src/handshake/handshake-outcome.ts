import type { Logger } from '@nexus/service'
import { recordEvent } from '../audit/record-event.ts'
import { failConnection } from '../connections/activate-connection.ts'
import type { Database } from '../db/database.ts'
import { retryWhileAway } from '../db/retry-while-away.ts'
import { ProviderError } from '../oauth/provider-errors.ts'
import type { Origin } from '../audit/audit-event.ts'
import type { AcceptedAttempt, AttemptState } from './attempt-store.ts'
import { lockOutcome, updateToError } from './outcome-store.ts'

export type OutcomeDeps = {
  readonly database: Database
  readonly createId: () => string
  readonly logger: Logger
}

/** An attempt that may be followed through, and whoever brought it so far. */
export type Accepted = { readonly attempt: AcceptedAttempt; readonly origin: Origin }

/** An attempt whose browser, or whose state, has proven whose it is. */
export type Bound = { readonly attempt: AttemptState; readonly origin: Origin }

/** How a handshake ends without a grant. */
export type Conclusion = {
  readonly event:
    | 'oauth_error'
    | 'token_exchange_failed'
    | 'id_token_verification_failed'
    | 'credential_refused'
    | 'completion_refused'
  /** `status_reason` of a connection that fails by it, and the audit's outcome. */
  readonly reason: string
  /** `error` in the return URL. */
  readonly returnError: string
  readonly data?: Readonly<Record<string, unknown>>
}

// a spent code cannot be presented again: its answer is worth waiting for a database that restarts
export const storeForMs = 60_000

/**
 * Ends an accepted handshake without a grant. A connection that waited for its first one fails, with the reason; one that
 * was to be reconnected stays exactly as it is.
 * @returns false where another attempt has taken over: then it is not this one's to end.
 */
export function concludeHandshake(deps: OutcomeDeps, bound: Accepted, conclusion: Conclusion): Promise<boolean> {
  const { attempt } = bound
  const { event, reason, returnError, data } = conclusion
  const work = () =>
    deps.database.transaction(async (transaction) => {
      const standing = await lockOutcome(transaction, attempt)
      if (standing.kind !== 'open') return standing.kind === 'error'
      await updateToError(transaction, attempt, returnError)
      if (!attempt.isReconnect) await failConnection(transaction, attempt.connectionId, reason)
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

/** Whom an audit event is about. */
export function aboutOf({ attempt, origin }: Bound) {
  const { zone, connectionId, providerId } = attempt
  return { origin, zone, connectionId, providerId }
}

/** What is said while a statement waits for the database to return. */
export function noteRetry(deps: Pick<OutcomeDeps, 'logger'>, bound: Bound, message: string) {
  return (error: unknown): void => {
    deps.logger.error({ err: error, connection_id: bound.attempt.connectionId }, message)
  }
}
