import { recordEvent } from '../audit/record-event.ts'
import { type GrantPlacement, activateConnection } from '../connections/activate-connection.ts'
import { type ReplaceGrantDeps, isRevoked, replaceGrant } from '../connections/replace-grant.ts'
import type { Queryable } from '../db/database.ts'
import { retryWhileAway } from '../db/retry-while-away.ts'
import type { TokenGrant } from '../oauth/provider-client.ts'
import type { Provider } from '../providers/provider.ts'
import { queueRevocation } from '../revocations/queue-revocation.ts'
import type { AcceptedCallback } from './callback-answer.ts'
import { type OutcomeDeps, aboutOf, noteRetry, storeForMs } from './handshake-outcome.ts'
import { lockOutcome, settleRefusal, updateToSuccess } from './outcome-store.ts'

export type StoreGrantDeps = OutcomeDeps & ReplaceGrantDeps

export type Granted = {
  readonly provider: Provider
  readonly grant: TokenGrant
  readonly callbackParams: Readonly<Record<string, unknown>>
}

/**
 * Stores what a code was exchanged for: connection, token, outcome and audit in one transaction, tried again while the
 * database is away. Idempotent: after a commit whose acknowledgement was lost it finds its own outcome (R4).
 * @returns false where this handshake ended otherwise. The grant is turned away then: revoked at the provider where its
 *   connection was revoked, or where it opens another account; else dropped, since a revocation may end the grant that the
 *   connection has (RFC 7009 §2.1).
 */
export function storeGrant(deps: StoreGrantDeps, bound: AcceptedCallback, granted: Granted): Promise<boolean> {
  const work = () =>
    deps.database.transaction(async (transaction) => {
      const standing = await lockOutcome(transaction, bound.attempt)
      if (standing.kind === 'success' || standing.kind === 'settled') return standing.kind === 'success'
      if (standing.kind === 'superseded') {
        await revokeIfOwed(deps, transaction, bound, granted, await isRevoked(transaction, bound.attempt.connectionId))
        return false
      }
      const placement: GrantPlacement =
        standing.kind === 'error'
          ? await forgoGrant(transaction, bound, standing.error)
          : await placeGrant(deps, transaction, bound, granted)
      if (placement.kind === 'stored') await recordStored(deps, transaction, bound, placement)
      else await turnAway(deps, transaction, bound, granted, placement)
      return placement.kind === 'stored'
    })
  return retryWhileAway(work, { forMs: storeForMs, onRetry: noteRetry(deps, bound, 'a grant waits to be stored') })
}

function placeGrant(
  deps: StoreGrantDeps,
  transaction: Queryable,
  { attempt }: AcceptedCallback,
  granted: Granted,
): Promise<GrantPlacement> {
  const { connectionId, scopes, metadata, allowsAccountChange } = attempt
  const placed = { connectionId, askedScopes: scopes, metadata, ...granted }
  return attempt.isReconnect
    ? replaceGrant(deps, transaction, { ...placed, allowsAccountChange })
    : activateConnection(deps, transaction, placed)
}

/** Somebody ended this handshake while its code was exchanged: a newer link, say. */
async function forgoGrant(
  transaction: Queryable,
  { attempt: { connectionId } }: AcceptedCallback,
  reason: string,
): Promise<GrantPlacement> {
  return { kind: 'refused', reason, isOwed: await isRevoked(transaction, connectionId) }
}

async function recordStored(
  deps: StoreGrantDeps,
  transaction: Queryable,
  bound: AcceptedCallback,
  { tokenVersion, data }: Extract<GrantPlacement, { kind: 'stored' }>,
): Promise<void> {
  await updateToSuccess(transaction, bound.attempt)
  await recordEvent(transaction, deps.createId(), {
    event: bound.attempt.isReconnect ? 'connection.reconnected' : 'oauth_flow_completed',
    outcome: 'success',
    tokenVersion,
    data,
    ...aboutOf(bound),
  })
}

async function turnAway(
  deps: StoreGrantDeps,
  transaction: Queryable,
  bound: AcceptedCallback,
  granted: Granted,
  { reason, isOwed }: Extract<GrantPlacement, { kind: 'refused' }>,
): Promise<void> {
  await settleRefusal(transaction, bound.attempt, reason)
  await recordEvent(transaction, deps.createId(), { event: 'oauth_error', outcome: reason, ...aboutOf(bound) })
  await revokeIfOwed(deps, transaction, bound, granted, isOwed)
}

async function revokeIfOwed(
  deps: StoreGrantDeps,
  transaction: Queryable,
  bound: AcceptedCallback,
  { grant: { refreshToken, accessToken } }: Granted,
  isOwed: boolean,
): Promise<void> {
  if (isOwed) await queueRevocation(deps, transaction, { ...aboutOf(bound), tokens: { refreshToken, accessToken } })
}
