import type { PageKind } from '@nexus/service'
import type { Origin } from '../audit/audit-event.ts'
import type { Callback } from './callback.ts'
import { type ReturnDomain, buildReturnUrl, isReturnUrlAllowed } from './return-url.ts'
import type { AcceptedAttempt, AttemptState } from './attempt-store.ts'

export type CallbackAnswer = { readonly clearCookie?: string | undefined } & (
  | { readonly kind: 'redirect'; readonly location: string }
  | { readonly kind: 'page'; readonly page: PageKind; readonly status: number }
)

/** A callback whose browser has proven to be the one that opened the link. */
export type BoundCallback = {
  readonly attempt: AttemptState
  readonly callback: Callback
  readonly origin: Origin
  /** The Set-Cookie that takes the attempt's cookie back; undefined where the browser is to keep it. */
  readonly clearCookie: string | undefined
}

/** The one callback of its handshake that may present its code. */
export type AcceptedCallback = BoundCallback & { readonly attempt: AcceptedAttempt }

/** Whoever is sent back: nothing of what they brought matters any more. */
export type Returning = Pick<BoundCallback, 'attempt' | 'clearCookie'>

/** Back to the app, or to a page that says all is done where there is nowhere to go. */
export function returnWithSuccess(domains: readonly ReturnDomain[], bound: Returning): CallbackAnswer {
  return (
    sendBack(domains, bound, 'success') ?? {
      kind: 'page',
      page: 'completed',
      status: 200,
      clearCookie: bound.clearCookie,
    }
  )
}

/** Back to the app with the error, or to a page that says what to do next. */
export function returnWithError(domains: readonly ReturnDomain[], bound: Returning, error: string): CallbackAnswer {
  return (
    sendBack(domains, bound, 'error', error) ?? {
      kind: 'page',
      page: pageOf(error),
      status: statusOf(error),
      clearCookie: bound.clearCookie,
    }
  )
}

/** The app cannot be reached any more by what was held for it: the person starts over, as with a link that expired. */
const isOver = (error: string): boolean =>
  error === 'link_expired' || error === 'completion_missed' || error === 'completion_refused'

function pageOf(error: string): PageKind {
  if (isOver(error)) return 'expired-link'
  if (error === 'access_denied') return 'declined'
  if (error === 'account_mismatch') return 'other-account'
  if (error === 'already_completed') return 'already-completed'
  // the answer came from the wrong issuer and used nothing up; after any other the link is used up
  return error === 'invalid_state' ? 'provider-problem' : 'sign-in-failed'
}

function statusOf(error: string): number {
  if (isOver(error)) return 410
  return error === 'account_mismatch' ? 409 : 200
}

/** The URL is checked again at the end: the list may have become narrower since (H10). */
function sendBack(
  domains: readonly ReturnDomain[],
  { attempt, clearCookie }: Returning,
  status: 'success' | 'error',
  error?: string,
): CallbackAnswer | undefined {
  const { returnUrl, connectionId, providerName } = attempt
  if (returnUrl === undefined || !isReturnUrlAllowed(returnUrl, domains)) return undefined
  const location = buildReturnUrl(returnUrl, { status, connection_id: connectionId, provider: providerName, error })
  return { kind: 'redirect', location, clearCookie }
}
