import type { Origin } from '../audit/audit-event.ts'
import { findResponseIssuerFault } from '../oauth/issuer-rule.ts'
import { pickKeptFields } from '../oauth/kept-fields.ts'
import type { ProviderClient } from '../oauth/provider-client.ts'
import { openProvider } from '../providers/open-provider.ts'
import type { OpenedProvider } from '../providers/provider.ts'
import { acceptPatiently } from './accept-attempt.ts'
import { answerAsRecorded } from './answer-as-recorded.ts'
import {
  type AcceptedCallback,
  type BoundCallback,
  type CallbackAnswer,
  returnWithError,
  returnWithSuccess,
} from './callback-answer.ts'
import { refuseExpired, refuseIssuer } from './callback-refusal.ts'
import { type Callback, toReturnError } from './callback.ts'
import { type Ending, type FollowThroughDeps, endWithout, exchangeAndStore } from './follow-through.ts'
import { type BoundAttemptDeps, findBoundAttempt } from './find-bound-attempt.ts'
import { type HoldDeps, holdForApp } from './hold-for-app.ts'
import type { Brought } from './hold-store.ts'
import { isProfileUnchanged } from './profile-digest.ts'
import * as store from './attempt-store.ts'

export type CompleteHandshakeDeps = FollowThroughDeps &
  HoldDeps &
  BoundAttemptDeps & {
    readonly providerClient: Pick<ProviderClient, 'findEndpoints'>
  }

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
  const findMisplacement = ({ redirectUri }: store.AttemptState) =>
    leadsTo(redirectUri, callback.path) ? undefined : 'wrong_path'
  const found = await findBoundAttempt(deps, callback, { purpose: 'oauth', findMisplacement }, origin)
  if (found.kind === 'refused') return found.answer
  const { attempt, clearCookie } = found
  const { redirectUri } = attempt
  if (redirectUri === undefined) throw new Error('an attempt without a redirect URI leads to no callback')
  const bound: BoundCallback = { attempt, callback, origin, clearCookie }

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
  const taken = await acceptPatiently(deps, bound)
  if (taken === undefined) return answerAsRecorded(deps, bound)
  const accepted: AcceptedCallback = { ...bound, ...taken }
  if (!isAsBefore) {
    const conclusion = { event: 'oauth_error', reason: 'profile_changed', returnError: 'link_expired' } as const
    return answerEnding(deps, accepted, await endWithout(deps, accepted, conclusion))
  }
  if (!isGood) {
    const returnError = toReturnError(error ?? 'invalid_request')
    const conclusion = { event: 'oauth_error', reason: returnError, returnError } as const
    return answerEnding(deps, accepted, await endWithout(deps, accepted, conclusion))
  }
  const presented = {
    code,
    redirectUri,
    callbackParams: keepParams(callback, opened, code),
    ...secrets,
  }
  return answerEnding(deps, accepted, await exchangeAndStore(deps, accepted, opened, presented))
}

/** H6: a profile with a callback path of its own is answered there. */
function leadsTo(redirectUri: string | undefined, path: string): boolean {
  return redirectUri !== undefined && new URL(redirectUri).pathname === path
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
