import { type StateSigner, sha256 } from '@nexus/crypto'
import { AppError } from '@nexus/service'
import type { Origin } from '../audit/audit-event.ts'
import type { Database } from '../db/database.ts'
import { type StaticProvider, isStatic } from '../providers/provider.ts'
import type { RedirectUriSettings } from '../providers/redirect-uri.ts'
import { findLivingProvider } from '../providers/list-providers.ts'
import { isProfileUnchanged } from './profile-digest.ts'
import { type Subject, recordRefusal } from './record-refusal.ts'
import { type HandshakeState, selectHandshakeByRequest } from './store.ts'

export type FindCaptureDeps = {
  readonly database: Database
  readonly signer: StateSigner
  readonly createId: () => string
  readonly redirectUri: RedirectUriSettings
}

/** A handshake that waits for what a person types in. */
export type FoundCapture = { readonly handshake: HandshakeState; readonly provider: StaticProvider }

/**
 * Finds what the state of a request opens: the form of its own connection, while that waits for it.
 *
 * Whoever asked for the link was given this state and no one else, so it alone is the credential, as the ticket is at the
 * link. It is none at a callback, and no state of a callback or a page is one here (H3). Every state that opens nothing
 * gets the same answer, whatever the reason, which the audit knows.
 * @throws AppError `invalid_state`; `already_completed`; `link_expired`, where a newer link took its place and where the
 *   profile is not what it was when the link was made (H8) too
 */
export async function findCapture(deps: FindCaptureDeps, state: string, origin: Origin): Promise<FoundCapture> {
  const claims = deps.signer.verify(state)
  if (claims === undefined) throw await refuseState(deps, 'bad_state', undefined, origin)
  if (claims.purpose !== 'request') throw await refuseState(deps, 'wrong_purpose', claims, origin)
  const handshake = await selectHandshakeByRequest(deps.database, sha256(claims.jti))
  if (handshake?.connectionId !== claims.connectionId) {
    throw await refuseState(deps, 'unknown_request', claims, origin)
  }
  const provider = await findLivingProvider(deps.database, handshake.providerId)
  if (provider !== undefined && !isStatic(provider)) throw await refuseState(deps, 'wrong_kind', handshake, origin)

  if (handshake.isOver) throw await refuseCapture(deps, 'already_completed', handshake, origin)
  if (handshake.isExpired) throw await refuseCapture(deps, 'expired', handshake, origin)
  if (provider === undefined || !isProfileUnchanged(provider, deps.redirectUri, handshake)) {
    throw await refuseCapture(deps, 'profile_changed', handshake, origin)
  }
  return { handshake, provider }
}

async function refuseState(
  deps: FindCaptureDeps,
  reason: string,
  subject: Subject | undefined,
  origin: Origin,
): Promise<AppError> {
  await recordRefusal(deps, 'state_verification_failed', reason, subject, origin)
  return new AppError('invalid_state', 'The state is not valid here')
}

async function refuseCapture(
  deps: FindCaptureDeps,
  reason: 'already_completed' | 'expired' | 'profile_changed',
  subject: Subject,
  origin: Origin,
): Promise<AppError> {
  await recordRefusal(deps, 'credential_refused', reason, subject, origin)
  return reason === 'already_completed' ? alreadyCompleted() : linkExpired()
}

export function alreadyCompleted(): AppError {
  return new AppError('already_completed', 'Credentials were given already, and a link takes them once')
}

export function linkExpired(): AppError {
  return new AppError('link_expired', 'The link has expired, was replaced or was tried too often: ask for a new one')
}
