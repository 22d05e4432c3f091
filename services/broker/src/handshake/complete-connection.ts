import type { CompleteConnection, ConnectionCompleted } from '@nexus/contracts'
import { isErrorCode } from '@nexus/contracts'
import { equalInConstantTime, sha256 } from '@nexus/crypto'
import { AppError } from '@nexus/service'
import type { Origin } from '../audit/audit-event.ts'
import { recordEvent } from '../audit/record-event.ts'
import { failConnection, fromTypedCredentials } from '../connections/activate-connection.ts'
import { getConnection } from '../connections/list-connections.ts'
import type { Queryable } from '../db/database.ts'
import { retryWhileAway } from '../db/retry-while-away.ts'
import { findProviderById } from '../providers/list-providers.ts'
import { openProvider } from '../providers/open-provider.ts'
import { isStatic } from '../providers/provider.ts'
import type { RedirectUriSettings } from '../providers/redirect-uri.ts'
import type { SecretVault } from '../vault/secret-vault.ts'
import { type AttemptState, selectAttemptById } from './attempt-store.ts'
import { type ExchangeDeps, type ExchangeOutcome, exchangeCode } from './exchange-code.ts'
import { type Accepted, type Conclusion, concludeHandshake } from './handshake-outcome.ts'
import * as store from './hold-store.ts'
import { selectOutcome } from './outcome-store.ts'
import { digestProfile } from './profile-digest.ts'
import { storeGrant } from './store-grant.ts'

export type CompleteConnectionDeps = ExchangeDeps & {
  readonly vault: SecretVault
  readonly redirectUri: RedirectUriSettings
}

export type Completion = {
  readonly connectionId: string
  readonly wanted: CompleteConnection
  readonly origin: Origin
}

// nothing was sent yet, so an app need not wait for long
const takeForMs = 5_000

/**
 * The app says which of its users came back, and only now what they brought is used (`completion: "app"`): the code is
 * exchanged, or what was typed in is stored. Somebody who was talked into following another's connect link comes back as
 * themselves, so the two do not agree; then, and after a wrong code or too late, all that is held for the connection is
 * destroyed, and nothing of it ever reached the provider.
 *
 * @throws AppError `connection_not_found`, `already_completed`, `completion_refused` (the same for every reason), and what
 *   a callback would have ended with: `provider_rejected`, `provider_unavailable`, `account_mismatch`, `link_expired`;
 *   `unavailable`, `vault_integrity`, `key_unavailable` before anything was used up
 */
export async function completeConnection(
  deps: CompleteConnectionDeps,
  completion: Completion,
): Promise<ConnectionCompleted> {
  const taken = await take(deps, completion)
  if (taken === 'nothing') throw await explainNothing(deps, completion.connectionId)
  if (taken === 'refused') throw refused()

  const outcome = await use(deps, { attempt: taken.attempt, origin: completion.origin }, taken.held)
  if (outcome.kind === 'failed') {
    await concludeHandshake(deps, { attempt: taken.attempt, origin: completion.origin }, outcome.conclusion)
    throw toError(outcome.conclusion.returnError)
  }
  if (outcome.kind === 'turned_away') {
    const recorded = await selectOutcome(deps.database, taken.attempt.handshakeId)
    throw toError(recorded?.error ?? 'already_completed')
  }
  return { connection_id: completion.connectionId, status: 'active', provider: taken.attempt.providerName }
}

type Taken = { readonly attempt: Accepted['attempt']; readonly held: store.HeldSecrets }

/** Takes what is held, or destroys it: one transaction, of any number that come at once one gets it (H2). */
function take(
  deps: CompleteConnectionDeps,
  { connectionId, wanted, origin }: Completion,
): Promise<Taken | 'refused' | 'nothing'> {
  const acceptanceId = deps.createId()
  let lastTaken: Taken | undefined
  const work = () =>
    deps.database.transaction(async (transaction) => {
      const holds = await store.lockHolds(transaction, connectionId)
      if (lastTaken !== undefined && (await store.isTakenBy(transaction, connectionId, acceptanceId))) return lastTaken
      if (holds.length === 0) return 'nothing'
      const match = holds.find(({ completionHash }) =>
        equalInConstantTime(sha256(wanted.completion_code), completionHash),
      )
      const reason = findRefusal(match, wanted.workspace_id)
      if (match === undefined || reason !== undefined) {
        await destroyHolds(deps, transaction, connectionId, holds, reason ?? 'wrong_code', origin)
        return 'refused'
      }
      // opened before it is taken: what could not be followed through stays
      lastTaken = await openHold(deps, transaction, match, acceptanceId)
      await store.takeHold(transaction, match, acceptanceId)
      const { zone, providerId } = match
      const about = { connectionId, zone, providerId, origin }
      await recordEvent(transaction, deps.createId(), { event: 'connection.completed', outcome: 'success', ...about })
      return lastTaken
    })
  return retryWhileAway(work, {
    forMs: takeForMs,
    onRetry: (error) => deps.logger.warn({ err: error, connection_id: connectionId }, 'a completion waits'),
  })
}

function findRefusal(hold: store.StoredHold | undefined, workspaceId: string): string | undefined {
  if (hold === undefined) return 'wrong_code'
  if (hold.isLate) return 'completion_missed'
  return hold.workspaceId === workspaceId ? undefined : 'wrong_user'
}

async function openHold(
  deps: CompleteConnectionDeps,
  transaction: Queryable,
  { attemptId, sealed, keyId }: store.StoredHold,
  acceptanceId: string,
): Promise<Taken> {
  const attempt: AttemptState | undefined = await selectAttemptById(transaction, attemptId)
  if (attempt === undefined || sealed === null || keyId === null) throw new Error('a hold without its secrets')
  return { attempt: { ...attempt, acceptanceId }, held: store.openHeld(deps.vault, attemptId, { sealed, keyId }) }
}

/** Destroys what is held for a connection, unused. One that waited for its first grant fails; another stays as it is. */
export async function destroyHolds(
  deps: Pick<CompleteConnectionDeps, 'createId'>,
  transaction: Queryable,
  connectionId: string,
  holds: readonly store.StoredHold[],
  reason: string,
  origin: Origin,
): Promise<void> {
  const isMissed = reason === 'completion_missed'
  const statusReason = isMissed ? reason : 'completion_refused'
  for (const hold of holds) {
    await store.destroyHold(transaction, hold, isMissed ? 'link_expired' : 'completion_refused')
    if (!hold.isReconnect) await failConnection(transaction, connectionId, statusReason)
    const { zone, providerId } = hold
    const about = { connectionId, zone, providerId, origin }
    await recordEvent(transaction, deps.createId(), { event: 'completion_refused', outcome: reason, ...about })
  }
}

const profileChanged: Conclusion = { event: 'oauth_error', reason: 'profile_changed', returnError: 'link_expired' }

async function use(deps: CompleteConnectionDeps, bound: Accepted, held: store.HeldSecrets): Promise<ExchangeOutcome> {
  const { connectionId, metadata, providerId, profileDigest, isProfileRemoved } = bound.attempt
  const provider = isProfileRemoved ? undefined : await findProviderById(deps.database, providerId)
  if (provider === undefined || !digestProfile(provider, deps.redirectUri).equals(profileDigest)) {
    return { kind: 'failed', conclusion: profileChanged }
  }
  if (held.kind === 'code') {
    const { kind: _, completionCode: __, ...brought } = held
    return exchangeCode(deps, bound, await openProvider(deps.database, deps.vault, providerId), brought)
  }
  if (!isStatic(provider)) return { kind: 'failed', conclusion: profileChanged }
  const connection = fromTypedCredentials({ connectionId, provider, metadata, values: held.values })
  const isStored = await storeGrant(deps, bound, { connection, tokens: undefined })
  return { kind: isStored ? 'stored' : 'turned_away' }
}

/** Nothing is held: it was used or destroyed before, or never was. */
async function explainNothing({ database }: CompleteConnectionDeps, connectionId: string): Promise<AppError> {
  const { status } = await getConnection(database, connectionId)
  return status === 'active'
    ? new AppError('already_completed', 'Nothing waits to be completed.', { details: { status } })
    : refused()
}

function refused(): AppError {
  return new AppError(
    'completion_refused',
    'This does not complete the connection: what its user brought was destroyed, or is not there. Ask for a new link.',
  )
}

const explanations = {
  provider_unavailable: 'The provider could not be reached, so nothing was connected. Ask for a new link.',
  provider_rejected: 'The provider did not accept the sign-in, so nothing was connected. Ask for a new link.',
  account_mismatch: 'The user came back with another account than the one that is connected.',
  link_expired: 'The provider profile was changed or removed meanwhile, or a newer link took the place of this one.',
}

function toError(error: string): AppError {
  const code = isErrorCode(error) ? error : 'internal'
  const known: Readonly<Record<string, string>> = explanations
  return new AppError(code, known[code] ?? 'The connection ended otherwise meanwhile.')
}
