import { recordEvent } from '../audit/record-event.ts'
import { type GrantPlacement, type GrantedConnection, activateConnection } from '../connections/activate-connection.ts'
import { type ReplaceGrantDeps, isRevoked, replaceGrant } from '../connections/replace-grant.ts'
import type { Queryable } from '../db/database.ts'
import { retryWhileAway } from '../db/retry-while-away.ts'
import { type OwedTokens, queueRevocation } from '../revocations/queue-revocation.ts'
import { type Accepted, type OutcomeDeps, aboutOf, noteRetry, storeForMs } from './handshake-outcome.ts'
import { lockOutcome, settleRefusal, updateToSuccess } from './outcome-store.ts'

export type StoreGrantDeps = OutcomeDeps & ReplaceGrantDeps

export type Granted = {
  readonly connection: GrantedConnection
  /** What a provider would have to revoke, were the grant turned away; undefined for what was typed in. */
  readonly tokens: OwedTokens | undefined
}

/**
 * Stores what a code was exchanged for, or what was typed in: connection, token, outcome and audit in one transaction, tried
 * again while the database is away. Idempotent: after a commit whose acknowledgement was lost it finds its own outcome (R4).
 * @returns false where this handshake ended otherwise. The grant is turned away then: revoked at the provider where its
 *   connection was revoked, or where it opens another account; else dropped, since a revocation may end the grant that the
 *   connection has (RFC 7009 §2.1).
 */
export function storeGrant(deps: StoreGrantDeps, bound: Accepted, granted: Granted): Promise<boolean> {
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
      if (placement.kind === 'stored') await recordStored(deps, transaction, bound, granted, placement)
      else await turnAway(deps, transaction, bound, granted, placement)
      return placement.kind === 'stored'
    })
  return retryWhileAway(work, { forMs: storeForMs, onRetry: noteRetry(deps, bound, 'a grant waits to be stored') })
}

function placeGrant(
  deps: StoreGrantDeps,
  transaction: Queryable,
  { attempt: { isReconnect, allowsAccountChange } }: Accepted,
  { connection }: Granted,
): Promise<GrantPlacement> {
  return isReconnect
    ? replaceGrant(deps, transaction, { ...connection, allowsAccountChange })
    : activateConnection(deps, transaction, connection)
}

/** Somebody ended this handshake while its code was exchanged: a newer link, say. */
async function forgoGrant(
  transaction: Queryable,
  { attempt: { connectionId } }: Accepted,
  reason: string,
): Promise<GrantPlacement> {
  return { kind: 'refused', reason, isOwed: await isRevoked(transaction, connectionId) }
}

async function recordStored(
  deps: StoreGrantDeps,
  transaction: Queryable,
  bound: Accepted,
  { tokens }: Granted,
  { tokenVersion, data }: Extract<GrantPlacement, { kind: 'stored' }>,
): Promise<void> {
  await updateToSuccess(transaction, bound.attempt)
  const firstEvent = tokens === undefined ? 'credential_captured' : 'oauth_flow_completed'
  await recordEvent(transaction, deps.createId(), {
    event: bound.attempt.isReconnect ? 'connection.reconnected' : firstEvent,
    outcome: 'success',
    tokenVersion,
    data,
    ...aboutOf(bound),
  })
  if (bound.attempt.completion === undefined) return
  const completed = { event: 'connection.completed', outcome: 'success', tokenVersion, ...aboutOf(bound) } as const
  await recordEvent(transaction, deps.createId(), completed)
}

async function turnAway(
  deps: StoreGrantDeps,
  transaction: Queryable,
  bound: Accepted,
  granted: Granted,
  { reason, isOwed }: Extract<GrantPlacement, { kind: 'refused' }>,
): Promise<void> {
  await settleRefusal(transaction, bound.attempt, reason)
  const event = granted.tokens === undefined ? 'credential_refused' : 'oauth_error'
  await recordEvent(transaction, deps.createId(), { event, outcome: reason, ...aboutOf(bound) })
  await revokeIfOwed(deps, transaction, bound, granted, isOwed)
}

async function revokeIfOwed(
  deps: StoreGrantDeps,
  transaction: Queryable,
  bound: Accepted,
  { tokens }: Granted,
  isOwed: boolean,
): Promise<void> {
  if (isOwed && tokens !== undefined) await queueRevocation(deps, transaction, { ...aboutOf(bound), tokens })
}
