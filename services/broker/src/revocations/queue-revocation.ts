import { type Origin, systemOrigin } from '../audit/audit-event.ts'
import { recordEvent } from '../audit/record-event.ts'
import type { Queryable } from '../db/database.ts'
import type { SecretVault } from '../vault/secret-vault.ts'
import * as store from './store.ts'

export type QueueRevocationDeps = { readonly vault: SecretVault; readonly createId: () => string }

export type OwedTokens = store.OwedTokens

/** Tokens that nobody uses any more and that still live at their provider. */
export type OwedRevocation = {
  readonly connectionId: string
  readonly providerId: string
  readonly zone: string
  readonly tokens: OwedTokens
  /** Who is to be named in the audit; the Broker itself unless said. */
  readonly origin?: Origin
}

/**
 * Seals what is owed a revocation (RFC 7009), in the transaction that took it out of use: once that is committed,
 * somebody revokes it, whoever dies meanwhile (P6).
 *
 * @param firstAttemptInSeconds - leaves whoever queues it the time for an attempt of its own.
 * @returns the id of the owed revocation
 */
export async function queueRevocation(
  { vault, createId }: QueueRevocationDeps,
  transaction: Queryable,
  owed: OwedRevocation,
  firstAttemptInSeconds = 0,
): Promise<string> {
  const { connectionId, providerId, zone, tokens, origin = systemOrigin } = owed
  const id = createId()
  await store.insertRevocation(transaction, vault, {
    id,
    connectionId,
    providerId,
    zone,
    tokens,
    firstAttemptInSeconds,
  })
  const about = { zone, connectionId, providerId }
  await recordEvent(transaction, createId(), { event: 'revocation.queued', outcome: 'success', origin, ...about })
  return id
}

/** True while something of this connection is still to be revoked. */
export function isRevocationOwed(database: Queryable, connectionId: string): Promise<boolean> {
  return store.selectIsOwed(database, connectionId)
}
