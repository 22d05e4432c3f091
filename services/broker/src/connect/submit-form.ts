import type { Parameters } from '@nexus/service'
import type { Origin } from '../audit/audit-event.ts'
import { answerAsRecorded } from '../handshake/answer-as-recorded.ts'
import { type CallbackAnswer, returnWithSuccess } from '../handshake/callback-answer.ts'
import { refuse } from '../handshake/callback-refusal.ts'
import { type CaptureDeps, captureCredential } from '../handshake/capture-credential.ts'
import { type ConfirmLinkDeps, confirmLink } from '../handshake/confirm-link.ts'
import type { BoundAttempt } from '../handshake/find-bound-attempt.ts'
import { findPageAttempt } from '../handshake/page-attempt.ts'
import { passwordFieldOf } from '../providers/check-credentials.ts'
import { compileSchemaOf } from '../providers/credential-schema.ts'
import { findLivingProvider } from '../providers/list-providers.ts'
import { type StaticProvider, isStatic } from '../providers/provider.ts'
import type { FormRefusal } from './credential-form.ts'
import { readCredentialForm } from './read-credential-form.ts'

export type SubmitFormDeps = CaptureDeps & ConfirmLinkDeps

export type SubmittedForm = {
  readonly ticket: string
  readonly parameters: Parameters
  readonly cookieHeader: string | undefined
  /** What the browser says of where it was sent from. */
  readonly isFromOwnOrigin: boolean
}

export type FormAnswer =
  | CallbackAnswer
  /** The form once more, with what was wrong. */
  | {
      readonly kind: 'form'
      readonly provider: StaticProvider
      readonly state: string
      readonly returnUrl: string | undefined
      readonly refusal: FormRefusal
    }

type Found = Extract<BoundAttempt, { readonly kind: 'found' }>

/**
 * Receives a form of one of our pages. Of which one, its state says, which we signed; whether the person who sends it is
 * the one who was shown it, state and cookie say together.
 * @throws AppError as `captureCredential` and `confirmLink` do
 */
export async function submitForm(deps: SubmitFormDeps, form: SubmittedForm, origin: Origin): Promise<FormAnswer> {
  const { state } = form.parameters
  const posted = { ticket: form.ticket, state, cookieHeader: form.cookieHeader }
  if (!form.isFromOwnOrigin) return refuse(deps, 'foreign_origin', undefined, origin)
  const purpose = state === undefined ? undefined : deps.signer.verify(state)?.purpose
  if (purpose === 'confirm') return confirmLink(deps, posted, origin)

  const found = await findPageAttempt(deps, 'capture', posted, origin)
  return found.kind === 'refused' ? found.answer : submitCredentials(deps, found, form, origin)
}

async function submitCredentials(
  deps: SubmitFormDeps,
  { attempt, clearCookie }: Found,
  { parameters }: SubmittedForm,
  origin: Origin,
): Promise<FormAnswer> {
  const provider = await findLivingProvider(deps.database, attempt.providerId)
  if (provider === undefined || !isStatic(provider)) return expired
  const read = readCredentialForm(compileSchemaOf(provider).fields, parameters, {
    keepsSpaces: passwordFieldOf(provider.strategy),
  })
  const bound = { attempt, origin, isSameBrowser: true, strayFields: read.faults }
  const outcome = await captureCredential(deps, bound, read.values)

  switch (outcome.kind) {
    case 'captured':
      return returnWithSuccess(deps.returnDomains, { attempt, clearCookie })
    case 'held':
      return { kind: 'redirect', location: outcome.location, clearCookie }
    // sent twice, or in two tabs: whoever was second is told what became of the first (H2)
    case 'already_completed':
      return answerAsRecorded(deps, { attempt, clearCookie, origin })
    case 'expired':
      return expired
    case 'faulty':
    case 'not_accepted':
    case 'not_verifiable':
      return {
        kind: 'form',
        provider: outcome.provider,
        state: parameters['state'] ?? '',
        returnUrl: attempt.returnUrl,
        refusal: outcome.kind === 'faulty' ? { kind: 'faults', faults: outcome.faults } : { kind: outcome.kind },
      }
  }
}

const expired: FormAnswer = { kind: 'page', page: 'expired-link', status: 410 }
