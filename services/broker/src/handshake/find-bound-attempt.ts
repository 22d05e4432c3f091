import { type StateClaims, type StatePurpose, type StateSigner, sha256 } from '@nexus/crypto'
import type { Origin } from '../audit/audit-event.ts'
import type { RedirectUriSettings } from '../providers/redirect-uri.ts'
import { type AttemptState, selectAttempt } from './attempt-store.ts'
import { bindingCookieName, carriesBinding, clearBindingCookie, usesSecureCookies } from './browser-binding.ts'
import type { CallbackAnswer } from './callback-answer.ts'
import { type RefusalDeps, refuse, refuseStranger } from './callback-refusal.ts'

export type BoundAttemptDeps = RefusalDeps & {
  readonly signer: StateSigner
  readonly redirectUri: RedirectUriSettings
}

/** What a browser shows to prove whose attempt it comes with. */
export type Shown = { readonly state: string | undefined; readonly cookieHeader: string | undefined }

/** What makes an attempt the right one here. */
export type Place = {
  readonly purpose: StatePurpose
  /** Why the attempt does not belong where its state arrived; undefined: it does. */
  readonly findMisplacement: (attempt: AttemptState) => string | undefined | Promise<string | undefined>
}

export type BoundAttempt =
  | {
      readonly kind: 'found'
      readonly attempt: AttemptState
      readonly claims: StateClaims
      /** The Set-Cookie that takes the attempt's cookie back. */
      readonly clearCookie: string
    }
  | { readonly kind: 'refused'; readonly answer: CallbackAnswer }

/**
 * Finds the attempt that a browser came with: a state that we signed, for this purpose (H3), of an attempt that is known,
 * which belongs here, in the browser that opened the link (H4). Nothing is changed, so nobody without both the state and
 * the cookie can spoil somebody's handshake (H11).
 */
export async function findBoundAttempt(
  deps: BoundAttemptDeps,
  { state, cookieHeader }: Shown,
  { purpose, findMisplacement }: Place,
  origin: Origin,
): Promise<BoundAttempt> {
  const refused = async (reason: string, subject?: Parameters<typeof refuse>[2]): Promise<BoundAttempt> => ({
    kind: 'refused',
    answer: await refuse(deps, reason, subject, origin),
  })
  const claims = state === undefined ? undefined : deps.signer.verify(state)
  if (claims === undefined) return refused('bad_state')
  if (claims.purpose !== purpose) return refused('wrong_purpose', claims)

  const attempt = await selectAttempt(deps.database, sha256(claims.jti))
  if (attempt?.connectionId !== claims.connectionId) return refused('unknown_attempt', claims)
  const misplacement = await findMisplacement(attempt)
  if (misplacement !== undefined) return refused(misplacement, attempt)

  const isSecure = usesSecureCookies(deps.redirectUri)
  const cookieName = bindingCookieName(sha256(claims.jti), isSecure)
  if (!carriesBinding(cookieHeader, cookieName, attempt.cookieHash)) {
    return { kind: 'refused', answer: await refuseStranger(deps, attempt, origin) }
  }
  return { kind: 'found', attempt, claims, clearCookie: clearBindingCookie(cookieName, isSecure) }
}
