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
  returnWithError,
  returnWithSuccess,
} from './callback-answer.ts'
import { refuse, refuseExpired, refuseIssuer, refuseStranger } from './callback-refusal.ts'
import { type Callback, toReturnError } from './callback.ts'
import { type Ending, type FollowThroughDeps, endWithout, exchangeAndStore } from './follow-through.ts'
import { noteRetry } from './handshake-outcome.ts'
import { type HoldDeps, findHeldReturn, holdForApp } from './hold-for-app.ts'
import type { Brought } from './hold-store.ts'
import type { RecordedOutcome } from './outcome-store.ts'
import { isProfileUnchanged } from './profile-digest.ts'
import * as store from './attempt-store.ts'
import { waitForOutcome } from './wait-for-outcome.ts'

export type CompleteHandshakeDeps = FollowThroughDeps &
  HoldDeps & {
    readonly signer: StateSigner
    readonly redirectUri: RedirectUriSettings
    readonly providerClient: Pick<ProviderClient, 'findEndpoints'>
  }

// nothing was sent yet, so a browser need not wait for long
const acceptForMs = 5_000

/**
 * Receives the browser back from the provider (RFC 6749 §4.1.2) and turns the code into a grant.
 *
 * The checks stand in the order of contract.md, each failing early. Nothing is changed before the one that accepts the
 * attempt, so nobody without both the state and the cookie can spoil somebody's handshake (H11). What is accepted is
 * followed through: the code is presented once, by this process, whatever else arrives meanwhile (H2). Where the app
 * completes the handshake, the code is put aside for it instead.
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
  const isAsBefore = isProfileUnchanged(opened.provider, deps.redirectUri, attempt)

  // opened before anything is used up: what could not be followed through is not accepted
  const secrets = store.openAttemptSecrets(deps.vault, attempt)
  const { code, error } = callback
  const isGood = isAsBefore && error === undefined && code !== undefined
  if (isGood && attempt.completion === 'app') {
    return hold(deps, bound, { kind: 'code', code, callbackParams: keepParams(callback, opened, code), ...secrets })
  }
  const accepted = await accept(deps, bound)
  if (accepted === undefined) return answerAsRecorded(deps, bound)
  if (!isAsBefore) {
    const conclusion = { event: 'oauth_error', reason: 'profile_changed', returnError: 'link_expired' } as const
    return answerEnding(deps, accepted, await endWithout(deps, accepted, conclusion))
  }
  if (!isGood) {
    const returnError = toReturnError(error ?? 'invalid_request')
    const conclusion = { event: 'oauth_error', reason: returnError, returnError } as const
    return answerEnding(deps, accepted, await endWithout(deps, accepted, conclusion))
  }
  const presented = { code, redirectUri, callbackParams: keepParams(callback, opened, code), ...secrets }
  return answerEnding(deps, accepted, await exchangeAndStore(deps, accepted, opened, presented))
}

/** @returns undefined where somebody else was first, or there is nothing to accept any more. */
async function accept(deps: CompleteHandshakeDeps, bound: BoundCallback): Promise<AcceptedCallback | undefined> {
  const acceptanceId = deps.createId()
  const acceptance = await retryWhileAway(() => store.acceptAttempt(deps.database, bound.attempt, acceptanceId), {
    forMs: acceptForMs,
    onRetry: noteRetry(deps, bound, 'an attempt waits to be accepted'),
  })
  return acceptance && { ...bound, attempt: { ...bound.attempt, acceptanceId } }
}

/** The app says whose account it is, before the code goes anywhere. */
async function hold(deps: CompleteHandshakeDeps, bound: BoundCallback, brought: Brought): Promise<CallbackAnswer> {
  const outcome = await holdForApp(deps, bound, brought)
  if (outcome.kind === 'elsewhere') return answerAsRecorded(deps, bound)
  if (outcome.kind === 'nowhere') return returnWithError(deps.returnDomains, bound, 'link_expired')
  return { kind: 'redirect', location: outcome.location, clearCookie: bound.clearCookie }
}

function keepParams({ all, state }: Callback, { provider }: OpenedProvider, code: string) {
  return pickKeptFields(all, provider.keepCallbackParams, [code, state ?? ''])
}

function answerEnding(
  deps: CompleteHandshakeDeps,
  bound: AcceptedCallback,
  ending: Ending,
): CallbackAnswer | Promise<CallbackAnswer> {
  if (ending.kind === 'stored') return returnWithSuccess(deps.returnDomains, bound)
  return ending.kind === 'failed'
    ? returnWithError(deps.returnDomains, bound, ending.error)
    : answerAsRecorded(deps, bound)
}

/** Somebody was first: wait for what came of it and answer as they were answered (H2). */
export async function answerAsRecorded(
  deps: HoldDeps,
  bound: Returning & Pick<BoundCallback, 'origin'>,
): Promise<CallbackAnswer> {
  let recorded = await waitForOutcome(deps.database, bound.attempt.handshakeId)
  if (recorded?.isHeld === true) {
    const location = await findHeldReturn(deps, bound)
    if (location !== undefined) return { kind: 'redirect', location, clearCookie: bound.clearCookie }
    // another attempt of the link holds it, or the app came meanwhile
    recorded = await waitForOutcome(deps.database, bound.attempt.handshakeId)
  }
  if (recorded?.outcome === 'success') return returnWithSuccess(deps.returnDomains, bound)
  if (recorded?.outcome === 'error') {
    return returnWithError(deps.returnDomains, bound, recorded.error ?? 'already_completed')
  }
  if (recorded?.isUnderWay === true) return { kind: 'page', page: 'try-again-later', status: 503 }
  return returnWithError(deps.returnDomains, bound, errorWithoutOutcome(recorded))
}

/** Nobody is at work on it: a deadline passed, a Broker died with the code, or the connection went elsewhere. */
function errorWithoutOutcome(recorded: RecordedOutcome | undefined): string {
  if (recorded?.isMissed === true) return 'completion_missed'
  return recorded?.isElsewhere === true || recorded?.isHeld === true ? 'already_completed' : 'link_expired'
}
