import { type StatePurpose, sha256 } from '@nexus/crypto'
import type { Origin } from '../audit/audit-event.ts'
import { type BoundAttempt, type BoundAttemptDeps, type Shown, findBoundAttempt } from './find-bound-attempt.ts'
import { selectHandshakeByTicket } from './store.ts'

/** A form that came back to the link it was opened by. */
export type PostedForm = Shown & { readonly ticket: string }

/**
 * Finds the attempt that a form of ours belongs to. Its state is the CSRF token: signed, of this purpose, of this link,
 * and worth nothing without the cookie that the same page set.
 */
export function findPageAttempt(
  deps: BoundAttemptDeps,
  purpose: Extract<StatePurpose, 'confirm' | 'capture'>,
  form: PostedForm,
  origin: Origin,
): Promise<BoundAttempt> {
  const findMisplacement = async ({ handshakeId }: { readonly handshakeId: string }): Promise<string | undefined> => {
    const handshake = await selectHandshakeByTicket(deps.database, sha256(form.ticket))
    return handshake?.handshakeId === handshakeId ? undefined : 'wrong_link'
  }
  return findBoundAttempt(deps, form, { purpose, findMisplacement }, origin)
}
