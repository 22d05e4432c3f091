import { type StatePayload, type StateSigner, sha256 } from '@nexus/crypto'
import type { Origin } from '../audit/audit-event.ts'
import { insertAuditEvent } from '../audit/store.ts'
import { findResponseIssuerFault } from '../oauth/issuer-rule.ts'
import { pickKeptFields } from '../oauth/kept-fields.ts'
import type { ProviderClient, TokenGrant } from '../oauth/provider-client.ts'
import { type OpenedProvider, openProvider } from '../providers/open-provider.ts'
import type { Provider } from '../providers/provider.ts'
import { type RedirectUriSettings, redirectUriOf } from '../providers/redirect-uri.ts'
import { bindingCookieName, carriesBinding, clearBindingCookie } from './browser-binding.ts'
import { type BoundCallback, type CallbackAnswer, returnWithError, returnWithSuccess } from './callback-answer.ts'
import { type Callback, toReturnError } from './callback.ts'
import { type Conclusion, type OutcomeDeps, concludeFrom, concludeHandshake, storeGrant } from './handshake-outcome.ts'
import { digestProfile } from './profile-digest.ts'
import type { ReturnDomain } from './return-url.ts'
import * as store from './store.ts'
import { waitForOutcome } from './wait-for-outcome.ts'

export type CompleteHandshakeDeps = OutcomeDeps & {
  readonly signer: StateSigner
  readonly redirectUri: RedirectUriSettings
  readonly returnDomains: readonly ReturnDomain[]
  readonly providerClient: Pick<ProviderClient, 'exchangeCode' | 'findEndpoints'>
}

/**
 * Receives the browser back from the provider (RFC 6749 §4.1.2) and turns the code into a grant.
 *
 * The checks stand in the order of contract.md, each failing early. Nothing is changed before the one that accepts the
 * attempt, so nobody without both the state and the cookie can spoil somebody's handshake (H11). What is accepted is
 * followed through: the code is presented once, by this process, whatever else arrives meanwhile (H2).
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
  if (new URL(attempt.redirectUri).pathname !== callback.path) return refuse(deps, 'wrong_path', payload, origin)

  const isSecure = deps.redirectUri.baseUrl.startsWith('https:')
  const cookieName = bindingCookieName(payload.jti, isSecure)
  if (!carriesBinding(callback.cookieHeader, cookieName, attempt.cookieHash)) {
    return refuseStranger(deps, attempt, payload, origin)
  }
  const bound: BoundCallback = { attempt, callback, origin, clearCookie: clearBindingCookie(cookieName, isSecure) }

  const opened = await openProvider(deps.database, deps.vault, attempt.providerId)
  if (!(await isFromIssuer(deps, opened.provider, callback))) {
    await recordRefusal(deps, 'oauth_error', 'wrong_issuer', attempt, origin)
    return returnWithError(deps.returnDomains, bound, 'invalid_state')
  }
  if (attempt.isConsumed) return answerAsRecorded(deps, bound)
  if (attempt.isExpired) return returnWithError(deps.returnDomains, bound, 'link_expired')
  const isUnchanged = digestProfile(opened.provider, redirectUriOf(opened.provider, deps.redirectUri)).equals(
    attempt.profileDigest,
  )

  if (!(await store.acceptAttempt(deps.database, attempt))) return answerAsRecorded(deps, bound)
  if (!isUnchanged) {
    return conclude(deps, bound, { event: 'oauth_error', reason: 'profile_changed', returnError: 'link_expired' })
  }
  if (callback.error !== undefined || callback.code === undefined) {
    const error = toReturnError(callback.error ?? 'invalid_request')
    return conclude(deps, bound, { event: 'oauth_error', reason: error, returnError: error })
  }
  return exchange(deps, bound, opened, callback.code)
}

async function exchange(
  deps: CompleteHandshakeDeps,
  bound: BoundCallback,
  { provider, clientSecret }: OpenedProvider,
  code: string,
): Promise<CallbackAnswer> {
  const { attempt, callback } = bound
  let grant: TokenGrant
  try {
    const secrets = store.openAttemptSecrets(deps.vault, attempt)
    const { redirectUri, scopes } = attempt
    grant = await deps.providerClient.exchangeCode(provider, { clientSecret, code, redirectUri, scopes, ...secrets })
  } catch (error) {
    deps.logger.warn({ err: error, connection_id: attempt.connectionId }, 'the code exchange failed')
    return conclude(deps, bound, concludeFrom(error))
  }
  const callbackParams = pickKeptFields(callback.all, provider.keepCallbackParams, [code, callback.state ?? ''])
  const isStored = await storeGrant(deps, bound, { provider, grant, callbackParams })
  return isStored ? returnWithSuccess(deps.returnDomains, bound) : answerAsRecorded(deps, bound)
}

async function conclude(
  deps: CompleteHandshakeDeps,
  bound: BoundCallback,
  conclusion: Conclusion,
): Promise<CallbackAnswer> {
  await concludeHandshake(deps, bound, conclusion)
  return returnWithError(deps.returnDomains, bound, conclusion.returnError)
}

/** Somebody was first: wait for what came of it and answer as they were answered (H2). */
async function answerAsRecorded(deps: CompleteHandshakeDeps, bound: BoundCallback): Promise<CallbackAnswer> {
  const recorded = await waitForOutcome(deps.database, bound.attempt.handshakeId)
  if (recorded === undefined) return { kind: 'page', page: 'try-again-later', status: 503 }
  return recorded.outcome === 'success'
    ? returnWithSuccess(deps.returnDomains, bound)
    : returnWithError(deps.returnDomains, bound, recorded.error ?? 'already_completed')
}

/**
 * H6: the issuer that answers must be the one the user was sent to, errors included (RFC 9207 §2.4). Metadata is asked
 * only where `iss` is missing, to learn whether it was promised.
 */
async function isFromIssuer(deps: CompleteHandshakeDeps, provider: Provider, { iss }: Callback): Promise<boolean> {
  const isPromiseKnown = iss !== undefined || !provider.enableDiscovery
  const endpoints = isPromiseKnown ? { promisesIss: false } : await deps.providerClient.findEndpoints(provider)
  return findResponseIssuerFault(provider, endpoints, iss) === undefined
}

/** The same harmless page for every reason, so that whoever tries states learns nothing; the audit knows the reason. */
async function refuse(
  deps: CompleteHandshakeDeps,
  reason: string,
  payload: StatePayload | undefined,
  origin: Origin,
): Promise<CallbackAnswer> {
  await recordRefusal(deps, 'state_verification_failed', reason, payload, origin)
  return { kind: 'page', page: 'invalid-link', status: 400 }
}

/** A valid state without its cookie: another browser, a forwarded callback, or one that has been here before. */
async function refuseStranger(
  deps: CompleteHandshakeDeps,
  attempt: store.AttemptState,
  payload: StatePayload,
  origin: Origin,
): Promise<CallbackAnswer> {
  if (attempt.isConsumed) return { kind: 'page', page: 'already-completed', status: 410 }
  await recordRefusal(deps, 'state_verification_failed', 'wrong_browser', payload, origin)
  return { kind: 'page', page: 'wrong-browser', status: 403 }
}

async function recordRefusal(
  deps: CompleteHandshakeDeps,
  event: 'oauth_error' | 'state_verification_failed',
  outcome: string,
  about: { readonly connectionId: string } | undefined,
  origin: Origin,
): Promise<void> {
  const connectionId = about?.connectionId
  await insertAuditEvent(deps.database, deps.createId(), { event, outcome, origin, connectionId })
}
