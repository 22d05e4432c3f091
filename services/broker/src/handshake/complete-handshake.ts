import { type StateSigner, sha256 } from '@nexus/crypto'
import type { Origin } from '../audit/audit-event.ts'
import { retryWhileAway } from '../db/retry-while-away.ts'
import { findResponseIssuerFault } from '../oauth/issuer-rule.ts'
import { pickKeptFields } from '../oauth/kept-fields.ts'
import type { ProviderClient } from '../oauth/provider-client.ts'
import { openProvider } from '../providers/open-provider.ts'
import type { OpenedProvider } from '../providers/provider.ts'
import type { RedirectUriSettings } from '../providers/redirect-uri.ts'
import { bindingCookieName, carriesBinding, clearBindingCookie } from './browser-binding.ts'
import {
  type AcceptedCallback,
  type BoundCallback,
  type CallbackAnswer,
  type Returning,
  returnForCompletion,
  returnWithError,
  returnWithSuccess,
} from './callback-answer.ts'
import { refuse, refuseExpired, refuseIssuer, refuseStranger } from './callback-refusal.ts'
import { type Callback, toReturnError } from './callback.ts'
import { type ExchangeDeps, exchangeCode } from './exchange-code.ts'
import { type Conclusion, concludeHandshake, noteRetry } from './handshake-outcome.ts'
import { type HoldDeps, canReturnToApp, findHeldCode, holdForApp } from './hold-for-app.ts'
import type { HeldCode } from './hold-store.ts'
import { digestProfile } from './profile-digest.ts'
import * as store from './attempt-store.ts'
import { waitForOutcome } from './wait-for-outcome.ts'

export type CompleteHandshakeDeps = ExchangeDeps &
  HoldDeps & {
    readonly signer: StateSigner
    readonly redirectUri: RedirectUriSettings
    readonly providerClient: Pick<ProviderClient, 'exchangeCode' | 'findEndpoints'>
  }

// nothing was sent yet, so a browser need not wait for long
const acceptForMs = 5_000

/**
 * Receives the browser back from the provider (RFC 6749 §4.1.2) and turns the code into a grant.
 *
 * The checks stand in the order of contract.md, each failing early. Nothing is changed before the one that accepts the
 * attempt, so nobody without both the state and the cookie can spoil somebody's handshake (H11). What is accepted is
 * followed through: the code is presented once, by this process, whatever else arrives meanwhile (H2).
 * @throws AppError `unavailable`, `vault_integrity`, `key_unavailable`, and ProviderError where the metadata cannot be
 *   had: nothing is used up then, and the same callback may come again.
 */
export async function completeHandshake(
  deps: CompleteHandshakeDeps,
  callback: Callback,
  origin: Origin,
): Promise<CallbackAnswer> {
  const payload = callback.state === undefined ? undefined : deps.signer.verify(callback.state)
  if (payload === undefined) return refuse(deps, 'bad_state', undefined, origin)
  if (payload.purpose !== 'oauth') return refuse(deps, 'wrong_purpose', payload, origin)

  const attempt = await store.selectAttempt(deps.database, sha256(payload.jti))
  if (attempt?.connectionId !== payload.connectionId) return refuse(deps, 'unknown_attempt', payload, origin)
  const { redirectUri } = attempt
  if (redirectUri === undefined || new URL(redirectUri).pathname !== callback.path) {
    return refuse(deps, 'wrong_path', attempt, origin)
  }

  const isSecure = deps.redirectUri.baseUrl.startsWith('https:')
  const cookieName = bindingCookieName(payload.jti, isSecure)
  if (!carriesBinding(callback.cookieHeader, cookieName, attempt.cookieHash)) {
    return refuseStranger(deps, attempt, origin)
  }
  const bound: BoundCallback = { attempt, callback, origin, clearCookie: clearBindingCookie(cookieName, isSecure) }

  const opened = await openProvider(deps.database, deps.vault, attempt.providerId)
  const endpoints = await deps.providerClient.findEndpoints(opened.provider)
  const issuerFault = findResponseIssuerFault(opened.provider, endpoints, callback.iss)
  if (issuerFault !== undefined) return refuseIssuer(deps, bound)

  if (attempt.isConsumed) return answerAsRecorded(deps, bound)
  if (attempt.isExpired) return refuseExpired(deps, bound)
  const digest = digestProfile(opened.provider, deps.redirectUri)
  const isAsBefore = !attempt.isProfileRemoved && digest.equals(attempt.profileDigest)

  const failure = isAsBefore ? findFailure(deps, bound) : profileChanged
  // opened before anything is used up: what could not be followed through is not accepted
  const secrets = store.openAttemptSecrets(deps.vault, attempt)
  const kept = pickKeptFields(callback.all, opened.provider.keepCallbackParams, [
    callback.code ?? '',
    callback.state ?? '',
  ])
  const brought = { code: callback.code ?? '', redirectUri, callbackParams: kept, ...secrets }
  if (failure === undefined && attempt.completion === 'app') return hold(deps, bound, brought)

  const accepted = await accept(deps, bound)
  if (accepted === undefined) return answerAsRecorded(deps, bound)
  if (failure !== undefined) return conclude(deps, accepted, failure)
  return exchange(deps, accepted, opened, brought)
}

const profileChanged: Conclusion = { event: 'oauth_error', reason: 'profile_changed', returnError: 'link_expired' }

/** Why no code is to be used, though the callback is the right one. */
function findFailure(deps: CompleteHandshakeDeps, { attempt, callback }: BoundCallback): Conclusion | undefined {
  if (callback.error !== undefined || callback.code === undefined) {
    const error = toReturnError(callback.error ?? 'invalid_request')
    return { event: 'oauth_error', reason: error, returnError: error }
  }
  if (attempt.completion === 'app' && !canReturnToApp(deps, attempt)) {
    return { event: 'oauth_error', reason: 'return_url_not_allowed', returnError: 'return_url_not_allowed' }
  }
  return undefined
}

/** Held for the app, which says whose account it is before the code is presented. */
async function hold(deps: CompleteHandshakeDeps, bound: BoundCallback, brought: HeldCode): Promise<CallbackAnswer> {
  const completionCode = await holdForApp(deps, bound, { kind: 'code', ...brought })
  return completionCode === undefined
    ? answerAsRecorded(deps, bound)
    : returnForCompletion(deps.returnDomains, bound, completionCode)
}

/** @returns undefined where somebody else was first, or there is nothing to accept any more. */
async function accept(deps: CompleteHandshakeDeps, bound: BoundCallback): Promise<AcceptedCallback | undefined> {
  const acceptanceId = deps.createId()
  const isAccepted = await retryWhileAway(() => store.acceptAttempt(deps.database, bound.attempt, acceptanceId), {
    forMs: acceptForMs,
    onRetry: noteRetry(deps, bound, 'an attempt waits to be accepted'),
  })
  return isAccepted ? { ...bound, attempt: { ...bound.attempt, acceptanceId } } : undefined
}

async function exchange(
  deps: CompleteHandshakeDeps,
  bound: AcceptedCallback,
  opened: OpenedProvider,
  brought: HeldCode,
): Promise<CallbackAnswer> {
  const outcome = await exchangeCode(deps, bound, opened, brought)
  if (outcome.kind === 'failed') return conclude(deps, bound, outcome.conclusion)
  return outcome.kind === 'stored' ? returnWithSuccess(deps.returnDomains, bound) : answerAsRecorded(deps, bound)
}

async function conclude(
  deps: CompleteHandshakeDeps,
  bound: AcceptedCallback,
  conclusion: Conclusion,
): Promise<CallbackAnswer> {
  const isConcluded = await concludeHandshake(deps, bound, conclusion)
  return isConcluded
    ? returnWithError(deps.returnDomains, bound, conclusion.returnError)
    : answerAsRecorded(deps, bound)
}

/** Somebody was first: wait for what came of it and answer as they were answered (H2). */
export async function answerAsRecorded(deps: HoldDeps, bound: Returning): Promise<CallbackAnswer> {
  const completionCode = await findHeldCode(deps, bound.attempt)
  if (completionCode !== undefined) return returnForCompletion(deps.returnDomains, bound, completionCode)
  const recorded = await waitForOutcome(deps.database, bound.attempt.handshakeId)
  if (recorded?.outcome === 'success') return returnWithSuccess(deps.returnDomains, bound)
  if (recorded?.outcome === 'error') {
    return returnWithError(deps.returnDomains, bound, recorded.error ?? 'already_completed')
  }
  if (recorded?.isUnderWay === true) return { kind: 'page', page: 'try-again-later', status: 503 }
  // another attempt of this link waits for its app, or the connection went elsewhere; else a deadline passed, or a Broker
  // died with the code
  const isDone = recorded?.isHeld === true || recorded?.isElsewhere === true
  return returnWithError(deps.returnDomains, bound, isDone ? 'already_completed' : 'link_expired')
}
