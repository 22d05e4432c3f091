import { type StateClaims, type StatePurpose, type StateSigner, sha256 } from '@nexus/crypto'
import type { Origin } from '../audit/audit-event.ts'
import type { Database } from '../db/database.ts'
import type { RedirectUriSettings } from '../providers/redirect-uri.ts'
import { type AttemptState, selectAttempt } from './attempt-store.ts'
import { bindingCookieName, carriesBinding, clearBindingCookie } from './browser-binding.ts'
import type { CallbackAnswer } from './callback-answer.ts'
import { type RefusalDeps, refuse, refuseStranger } from './callback-refusal.ts'
import { selectHandshakeByTicket } from './store.ts'

export type PageAttemptDeps = RefusalDeps & {
  readonly database: Database
  readonly signer: StateSigner
  readonly redirectUri: RedirectUriSettings
}

/** A form that came back to the link it was opened by. */
export type PostedForm = {
  readonly ticket: string
  readonly state: string | undefined
  readonly cookieHeader: string | undefined
}

export type PageAttempt =
  | {
      readonly kind: 'found'
      readonly attempt: AttemptState
      readonly claims: StateClaims
      readonly clearCookie: string
    }
  | { readonly kind: 'refused'; readonly answer: CallbackAnswer }

/**
 * Finds the attempt that a form of ours belongs to. Its state is the CSRF token: signed, of this purpose (H3), of this
 * link, and worth nothing without the cookie that the same page set (H4).
 */
export async function findPageAttempt(
  deps: PageAttemptDeps,
  purpose: Extract<StatePurpose, 'confirm' | 'capture'>,
  form: PostedForm,
  origin: Origin,
): Promise<PageAttempt> {
  const refused = async (reason: string, subject?: Parameters<typeof refuse>[2]): Promise<PageAttempt> => ({
    kind: 'refused',
    answer: await refuse(deps, reason, subject, origin),
  })
  const payload = form.state === undefined ? undefined : deps.signer.verify(form.state)
  if (payload === undefined) return refused('bad_state')
  if (payload.purpose !== purpose) return refused('wrong_purpose', payload)

  const attempt = await selectAttempt(deps.database, sha256(payload.jti))
  if (attempt?.connectionId !== payload.connectionId) return refused('unknown_attempt', payload)
  const handshake = await selectHandshakeByTicket(deps.database, sha256(form.ticket))
  if (handshake?.handshakeId !== attempt.handshakeId) return refused('wrong_link', attempt)

  const isSecure = deps.redirectUri.baseUrl.startsWith('https:')
  const cookieName = bindingCookieName(payload.jti, isSecure)
  if (!carriesBinding(form.cookieHeader, cookieName, attempt.cookieHash)) {
    return { kind: 'refused', answer: await refuseStranger(deps, attempt, origin) }
  }
  return { kind: 'found', attempt, claims: payload, clearCookie: clearBindingCookie(cookieName, isSecure) }
}
