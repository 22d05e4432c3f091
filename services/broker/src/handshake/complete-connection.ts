import { type CompleteConnection, type ConnectionCompleted, type ErrorCode, isErrorCode } from '@nexus/contracts'
import { sha256 } from '@nexus/crypto'
import { AppError } from '@nexus/service'
import type { Origin } from '../audit/audit-event.ts'
import { retryWhileAway } from '../db/retry-while-away.ts'
import type { ProviderClient } from '../oauth/provider-client.ts'
import { findLivingProvider } from '../providers/list-providers.ts'
import { openProvider } from '../providers/open-provider.ts'
import { type OpenedProvider, type StaticProvider, isStatic } from '../providers/provider.ts'
import type { RedirectUriSettings } from '../providers/redirect-uri.ts'
import { acceptForMs } from './accept-attempt.ts'
import { endHolds, recordRefusedCompletion } from './end-holds.ts'
import {
  type Ending,
  type FollowThroughDeps,
  type Presented,
  endWithout,
  exchangeAndStore,
  storeTyped,
} from './follow-through.ts'
import { type Accepted, noteRetry } from './handshake-outcome.ts'
import * as store from './hold-store.ts'
import type { RecordedOutcome } from './outcome-store.ts'
import { isProfileUnchanged } from './profile-digest.ts'
import { waitForOutcome } from './wait-for-outcome.ts'

export type CompleteConnectionDeps = FollowThroughDeps & {
  readonly redirectUri: RedirectUriSettings
  readonly providerClient: Pick<ProviderClient, 'findEndpoints'>
}

export type CompletionRequest = {
  readonly connectionId: string
  readonly asked: CompleteConnection
  readonly origin: Origin
}

/**
 * Completes a connection: the app says which of its users came back with the code, and only if that is whose account it
 * was to be is what they brought used. Else everything held for the connection is destroyed, unused (security-model.md).
 *
 * Whoever does not know the user and the code learns nothing: every such refusal reads the same. The audit knows why.
 * @throws AppError `connection_not_found`; `completion_refused`; `already_completed` with `details.status` where it was
 *   completed before; `link_expired` where the profile changed, or somebody died with it: the person starts over;
 *   `provider_rejected`, `provider_unavailable`, `account_mismatch` as the exchange had it; `unavailable`,
 *   `vault_integrity`, `key_unavailable`, and ProviderError where the metadata cannot be had: nothing is used up then, and
 *   the app may ask again in time.
 */
export async function completeConnection(
  deps: CompleteConnectionDeps,
  request: CompletionRequest,
): Promise<ConnectionCompleted> {
  const { connectionId, asked, origin } = request
  const completionHash = sha256(asked.completion_code)
  const hold = await store.selectHoldByCode(deps.database, connectionId, completionHash)
  if (hold === undefined) return destroyAndRefuse(deps, request, 'wrong_code')
  if (hold.workspaceId !== asked.workspace_id) return destroyAndRefuse(deps, request, 'wrong_user')
  if (hold.isHeld && hold.isLate) return destroyAndRefuse(deps, request, 'completion_missed')
  if (!hold.isHeld) return refuseRepetition(deps, request, hold)

  // opened before anything is used up: what could not be followed through is not taken
  const prepared = await prepare(deps, hold)
  const acceptanceId = deps.createId()
  const key = { attempt: hold, completionHash, workspaceId: asked.workspace_id }
  const isTaken = await retryWhileAway(() => store.takeHold(deps.database, key, acceptanceId), {
    forMs: acceptForMs,
    onRetry: noteRetry(deps, { attempt: hold, origin }, 'a completion waits to be accepted'),
  })
  if (!isTaken) return refuseRepetition(deps, request, hold)
  const ending = await follow(deps, { attempt: { ...hold, acceptanceId }, origin }, prepared)
  if (ending.kind === 'stored') return { connection_id: connectionId, status: 'active', provider: hold.providerName }
  if (ending.kind === 'failed') throw failure(ending.error, undefined)
  throw describeOutcome(await waitForOutcome(deps.database, hold.handshakeId))
}

type Prepared =
  | { readonly kind: 'code'; readonly opened: OpenedProvider; readonly presented: Presented }
  | {
      readonly kind: 'credentials'
      readonly provider: StaticProvider
      readonly held: Extract<store.Held, { kind: 'credentials' }>
    }
  /** What the person saw and agreed to is not there any more (H8). */
  | { readonly kind: 'profile_changed' }

/** Everything that using what is held takes. A provider that is away now leaves it as it is. */
async function prepare(deps: CompleteConnectionDeps, hold: store.HoldState): Promise<Prepared> {
  const held = store.openHeld(deps.vault, hold)
  const changed: Prepared = { kind: 'profile_changed' }
  if (held.kind === 'credentials') {
    const provider = await findLivingProvider(deps.database, hold.providerId)
    const isFit = provider !== undefined && isStatic(provider) && isProfileUnchanged(provider, deps.redirectUri, hold)
    return isFit ? { kind: 'credentials', provider, held } : changed
  }
  // read once: what is compared is what the code and the secret are sent by
  const opened = await openProvider(deps.database, deps.vault, hold.providerId)
  if (!isProfileUnchanged(opened.provider, deps.redirectUri, hold) || hold.redirectUri === undefined) return changed
  await deps.providerClient.findEndpoints(opened.provider)
  const { code, codeVerifier, nonce, callbackParams } = held
  return {
    kind: 'code',
    opened,
    presented: { code, codeVerifier, nonce, callbackParams, redirectUri: hold.redirectUri },
  }
}

function follow(deps: CompleteConnectionDeps, bound: Accepted, prepared: Prepared): Promise<Ending> {
  switch (prepared.kind) {
    case 'code':
      return exchangeAndStore(deps, bound, prepared.opened, prepared.presented)
    case 'credentials':
      return storeTyped(deps, bound, prepared.provider, prepared.held)
    case 'profile_changed':
      return endWithout(deps, bound, { event: 'oauth_error', reason: 'profile_changed', returnError: 'link_expired' })
  }
}

/** Destroys everything that is held for the connection. */
async function destroyAndRefuse(
  deps: CompleteConnectionDeps,
  { connectionId, origin }: CompletionRequest,
  outcome: 'wrong_code' | 'wrong_user' | 'completion_missed',
): Promise<never> {
  const error = outcome === 'completion_missed' ? outcome : 'completion_refused'
  await deps.database.transaction(async (transaction) => {
    const subject = await store.selectSubject(transaction, connectionId)
    if (subject === undefined) throw new AppError('connection_not_found', 'There is no such connection.')
    await endHolds(transaction, connectionId, { which: 'all', returnError: error, reason: error })
    await recordRefusedCompletion(deps, transaction, { subject, outcome, origin })
  })
  throw failure(error, undefined)
}

/** The right code and the right user, and nothing held: somebody asked before. They hear what came of it. */
async function refuseRepetition(
  deps: CompleteConnectionDeps,
  request: CompletionRequest,
  hold: store.HoldState,
): Promise<never> {
  const recorded = await waitForOutcome(deps.database, hold.handshakeId)
  // the time ran out between two looks
  if (recorded?.isMissed === true) return destroyAndRefuse(deps, request, 'completion_missed')
  await recordRefusedCompletion(deps, deps.database, { subject: hold, outcome: 'repeated', origin: request.origin })
  throw describeOutcome(recorded)
}

function describeOutcome(recorded: RecordedOutcome | undefined): AppError {
  if (recorded?.outcome === 'success') return failure('already_completed', recorded)
  if (recorded?.outcome === 'error') return failure(recorded.error ?? 'already_completed', recorded)
  if (recorded?.isUnderWay === true) {
    return new AppError('unavailable', 'This connection is being completed right now.', { retryAfterSeconds: 5 })
  }
  return failure(recorded?.isElsewhere === true ? 'already_completed' : 'link_expired', recorded)
}

const messages: Partial<Record<ErrorCode, string>> = {
  completion_refused: 'This connection was not completed; anything held for it was destroyed.',
  already_completed: 'This connection was completed before, or something else became of it.',
  account_mismatch: 'The person signed in with another account than the one that is connected.',
  link_expired: 'This connection cannot be completed any more: ask for a new link.',
  provider_unavailable: 'The provider could not be reached: ask for a new link.',
  provider_rejected: 'The provider refused what the person brought: ask for a new link.',
}

/** @param error - in the words of return URLs */
function failure(error: string, recorded: RecordedOutcome | undefined): AppError {
  // late is no other answer than wrong: whoever guesses learns nothing
  const code = error === 'completion_missed' ? 'completion_refused' : toErrorCode(error)
  const details = code === 'already_completed' && recorded ? { details: { status: recorded.status } } : {}
  return new AppError(code, messages[code] ?? 'This connection could not be completed.', details)
}

function toErrorCode(error: string): ErrorCode {
  return isErrorCode(error) && messages[error] !== undefined ? error : 'internal'
}
