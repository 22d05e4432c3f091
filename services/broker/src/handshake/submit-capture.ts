import type { CaptureCredential, CaptureSchema, CredentialCaptured } from '@nexus/contracts'
import { type RandomBytes, sha256 } from '@nexus/crypto'
import { AppError } from '@nexus/service'
import type { Origin } from '../audit/audit-event.ts'
import { type AttemptState, insertAttempt, selectAttempt } from './attempt-store.ts'
import { returnWithSuccess } from './callback-answer.ts'
import { type CaptureDeps, captureCredential } from './capture-credential.ts'
import { invalidCredentials } from './invalid-credentials.ts'
import { type FindCaptureDeps, alreadyCompleted, findCapture, linkExpired } from './find-capture.ts'
import { selectOutcome } from './outcome-store.ts'

export type SubmitCaptureDeps = CaptureDeps & FindCaptureDeps & { readonly randomBytes: RandomBytes }

/** Seconds: for asking the provider, and for a database that is slow. The link's own deadline has been looked at. */
const attemptSeconds = 60

/**
 * What a front end of the app's own needs to draw the form.
 * @throws AppError as `findCapture`
 */
export async function describeCapture(deps: FindCaptureDeps, state: string, origin: Origin): Promise<CaptureSchema> {
  const { handshake, provider } = await findCapture(deps, state, origin)
  return {
    provider_name: provider.name,
    description: provider.description ?? null,
    schema: { ...provider.credentialSchema },
    connection_id: handshake.connectionId,
    expires_at: handshake.expiresAt.toISOString(),
  }
}

/**
 * Takes credentials from a front end of the app's own. Each submission is an attempt, as each opening of the page is, so
 * that form and page, and any number of either on any number of Brokers, meet at one lock: one is stored (H2).
 * @returns where the person goes next: to the app, or nowhere. With `completion: "app"` the credentials wait there for the
 *   app's word (completion_required).
 * @throws AppError `invalid_credentials` with the fields, or because the provider refused them; `provider_unavailable`
 *   where it must be asked and cannot be; those of `findCapture` and `captureCredential`
 */
export async function submitCapture(
  deps: SubmitCaptureDeps,
  { state, credentials }: CaptureCredential,
  origin: Origin,
): Promise<CredentialCaptured> {
  const { handshake } = await findCapture(deps, state, origin)
  const attempt = await makeAttempt(deps, handshake.handshakeId)
  const outcome = await captureCredential(deps, { attempt, origin }, credentials)
  switch (outcome.kind) {
    case 'captured':
      return describeCaptured(attempt, 'success', findReturnUrl(deps, attempt))
    case 'held':
      return describeCaptured(attempt, 'completion_required', outcome.location)
    case 'faulty':
      throw invalidCredentials(outcome.faults)
    case 'not_accepted':
      throw new AppError('invalid_credentials', 'The provider did not accept these credentials', {
        details: { reason: 'not_accepted' },
      })
    case 'not_verifiable':
      throw new AppError('provider_unavailable', 'The provider could not be asked whether it accepts them', {
        retryAfterSeconds: 5,
      })
    case 'expired':
      throw linkExpired()
    case 'already_completed':
      throw await explainLoss(deps, attempt)
  }
}

function describeCaptured(
  { connectionId, providerName }: AttemptState,
  status: CredentialCaptured['status'],
  returnUrl: string | null,
): CredentialCaptured {
  return { status, connection_id: connectionId, provider: providerName, return_url: returnUrl }
}

function findReturnUrl({ returnDomains }: SubmitCaptureDeps, attempt: AttemptState): string | null {
  const ending = returnWithSuccess(returnDomains, { attempt, clearCookie: undefined })
  return ending.kind === 'redirect' ? ending.location : null
}

/** Nobody comes back with this attempt: what it is called, and whose browser it belongs to, is told to no one. */
function makeAttempt(deps: SubmitCaptureDeps, handshakeId: string): Promise<AttemptState> {
  const jtiHash = sha256(deps.randomBytes(32))
  return deps.database.transaction(async (transaction) => {
    await insertAttempt(transaction, deps.vault, {
      id: deps.createId(),
      handshakeId,
      jtiHash,
      cookieHash: sha256(deps.randomBytes(32)),
      redirectUri: undefined,
      secrets: undefined,
      lifetimeSeconds: attemptSeconds,
    })
    const attempt = await selectAttempt(transaction, jtiHash)
    if (attempt === undefined) throw new Error('an attempt is gone that was just made')
    return attempt
  })
}

/**
 * Why this attempt was not the one. Mostly somebody was first; or a newer link took the place of this one, or its profile
 * moved or its connection ended, while the provider was asked. Else so many attempts were alive that this one gave way.
 */
async function explainLoss({ database }: SubmitCaptureDeps, { handshakeId }: AttemptState): Promise<AppError> {
  const recorded = await selectOutcome(database, handshakeId)
  if (recorded?.error === 'link_expired') return linkExpired()
  const isWaiting = recorded?.isUnderWay === true || recorded?.isHeld === true || recorded?.isMissed === true
  if (recorded === undefined || recorded.outcome !== null || isWaiting || recorded.isElsewhere)
    return alreadyCompleted()
  return new AppError('unavailable', 'Too many submissions at once: nothing was stored, send it again', {
    retryAfterSeconds: 1,
  })
}
