import type { Origin } from '../audit/audit-event.ts'
import { type BoundCallback, type CallbackAnswer, returnWithError } from './callback-answer.ts'
import type { ReturnDomain } from './return-url.ts'
import type { AttemptState } from './attempt-store.ts'
import { type RecordRefusalDeps, type Subject, recordRefusal } from './record-refusal.ts'

export type RefusalDeps = RecordRefusalDeps & { readonly returnDomains: readonly ReturnDomain[] }

/** The same harmless page for every reason, so that whoever tries states learns nothing; the audit knows the reason. */
export async function refuse(
  deps: RefusalDeps,
  reason: string,
  subject: Subject | undefined,
  origin: Origin,
): Promise<CallbackAnswer> {
  await recordRefusal(deps, 'state_verification_failed', reason, subject, origin)
  return { kind: 'page', page: 'invalid-link', status: 400 }
}

/** A valid state without its cookie: another browser, a forwarded callback, or one that has been here before. */
export async function refuseStranger(
  deps: RefusalDeps,
  attempt: AttemptState,
  origin: Origin,
): Promise<CallbackAnswer> {
  const reason = attempt.isConsumed ? 'already_completed' : 'wrong_browser'
  await recordRefusal(deps, 'state_verification_failed', reason, attempt, origin)
  return attempt.isConsumed
    ? { kind: 'page', page: 'already-completed', status: 410 }
    : { kind: 'page', page: 'wrong-browser', status: 403 }
}

/**
 * H6: the issuer that answers is not the one the user was sent to (RFC 9207 §2.4). Nothing is used up, the cookie
 * neither: the true answer may still come.
 */
export async function refuseIssuer(deps: RefusalDeps, bound: BoundCallback): Promise<CallbackAnswer> {
  await recordRefusal(deps, 'oauth_error', 'wrong_issuer', bound.attempt, bound.origin)
  return returnWithError(deps.returnDomains, { ...bound, clearCookie: undefined }, 'invalid_state')
}

/** The person took too long at the provider; the link may be opened again while it lives. */
export async function refuseExpired(deps: RefusalDeps, bound: BoundCallback): Promise<CallbackAnswer> {
  await recordRefusal(deps, 'state_verification_failed', 'expired', bound.attempt, bound.origin)
  return returnWithError(deps.returnDomains, bound, 'link_expired')
}
