import { recordEvent } from '../audit/record-event.ts'
import type { TypedCredentials } from '../connections/activate-connection.ts'
import type { TryCredentials } from '../oauth/try-credentials.ts'
import type { CredentialFault } from '../providers/credential-schema.ts'
import { findTrialUrl } from '../oauth/trial-url.ts'
import { checkCredentials } from '../providers/check-credentials.ts'
import { findLivingProvider } from '../providers/list-providers.ts'
import { type StaticProvider, isStatic } from '../providers/provider.ts'
import type { RedirectUriSettings } from '../providers/redirect-uri.ts'
import { acceptPatiently } from './accept-attempt.ts'
import { storeTyped } from './follow-through.ts'
import { type Bound, aboutOf } from './handshake-outcome.ts'
import { type HoldDeps, findHeldReturn, holdForApp } from './hold-for-app.ts'
import { isProfileUnchanged } from './profile-digest.ts'
import { takeTry } from './store.ts'
import type { StoreGrantDeps } from './store-grant.ts'

export type CaptureDeps = StoreGrantDeps &
  HoldDeps & {
    readonly redirectUri: RedirectUriSettings
    readonly tryCredentials: TryCredentials
  }

export type CaptureBound = Bound & {
  /**
   * Whoever sent this has shown the attempt's cookie: sent twice, it is answered twice alike. Without it a repetition may
   * be anybody's, and the way back to the app is not for them.
   */
  readonly isSameBrowser?: boolean
  /** Names that a form sent and does not have. */
  readonly strayFields?: readonly CredentialFault[]
}

export type CaptureOutcome =
  | { readonly kind: 'captured' }
  /** They do not fit the schema; what is wrong, field by field. */
  | { readonly kind: 'faulty'; readonly provider: StaticProvider; readonly faults: readonly CredentialFault[] }
  /** The provider does not accept them, or must be asked and cannot be. They may be typed in again. */
  | { readonly kind: 'not_accepted' | 'not_verifiable'; readonly provider: StaticProvider }
  /** They wait for the app: the person goes to this URL, which tells it so with the completion code. */
  | { readonly kind: 'held'; readonly location: string }
  /** Nothing can be captured here any more. */
  | { readonly kind: 'expired' | 'already_completed' }

/**
 * Takes what a person typed in: checks it against the profile's schema, tries it at the provider, and puts it into the
 * vault, or aside for the app. Only the last uses the link up, so a typing error costs nothing; and of any number that
 * arrive at once, one is stored (H2).
 * @param typed - as it came, unchecked. It is never logged, recorded or answered.
 * @throws AppError `unavailable`, `vault_integrity`, `key_unavailable`
 */
export async function captureCredential(
  deps: CaptureDeps,
  bound: CaptureBound,
  typed: Readonly<Record<string, unknown>>,
): Promise<CaptureOutcome> {
  const { attempt } = bound
  if (attempt.isConsumed) return answerRepeated(deps, bound)
  if (attempt.isExpired) return refuse(deps, bound, 'expired', { kind: 'expired' })
  const provider = await findLivingProvider(deps.database, attempt.providerId)
  // H8: what is typed in goes where the person was told it would
  if (provider === undefined || !isStatic(provider) || !isProfileUnchanged(provider, deps.redirectUri, attempt)) {
    return refuse(deps, bound, 'profile_changed', { kind: 'expired' })
  }

  const checked = checkCredentials(provider, typed, bound.strayFields)
  if (checked.kind === 'faulty') {
    return refuse(deps, bound, 'invalid_credentials', { kind: 'faulty', provider, faults: checked.faults })
  }
  const isAsked = findTrialUrl(provider) !== undefined
  if (isAsked && !(await takeTry(deps.database, attempt.handshakeId))) {
    return refuse(deps, bound, 'too_many_tries', { kind: 'expired' })
  }
  const tried = isAsked ? await deps.tryCredentials(provider, checked.credentials) : 'unknown'
  if (tried === 'refused') return refuse(deps, bound, 'not_accepted', { kind: 'not_accepted', provider })
  if (tried === 'unknown' && provider.verify === 'required') {
    return refuse(deps, bound, 'not_verifiable', { kind: 'not_verifiable', provider })
  }
  return keep(deps, bound, provider, checked.credentials)
}

async function refuse(
  deps: CaptureDeps,
  bound: CaptureBound,
  reason: string,
  outcome: CaptureOutcome,
): Promise<CaptureOutcome> {
  await recordEvent(deps.database, deps.createId(), { event: 'credential_refused', outcome: reason, ...aboutOf(bound) })
  return outcome
}

async function keep(
  deps: CaptureDeps,
  bound: CaptureBound,
  provider: StaticProvider,
  values: TypedCredentials['values'],
): Promise<CaptureOutcome> {
  if (bound.attempt.completion === 'app') {
    const held = await holdForApp(deps, bound, { kind: 'credentials', values })
    if (held.kind === 'held') return held
    return held.kind === 'nowhere' ? { kind: 'expired' } : answerRepeated(deps, bound)
  }
  const accepted = await acceptPatiently(deps, bound)
  if (accepted === undefined) return refuse(deps, bound, 'already_completed', { kind: 'already_completed' })
  const ending = await storeTyped(deps, accepted, provider, { values })
  return { kind: ending.kind === 'stored' ? 'captured' : 'already_completed' }
}

/** A second click on the button, say. */
async function answerRepeated(deps: CaptureDeps, bound: CaptureBound): Promise<CaptureOutcome> {
  const location = bound.isSameBrowser === true ? await findHeldReturn(deps, bound) : undefined
  if (location !== undefined) return { kind: 'held', location }
  return refuse(deps, bound, 'already_completed', { kind: 'already_completed' })
}
