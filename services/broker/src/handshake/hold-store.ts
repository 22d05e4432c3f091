import type { CredentialValue } from '@nexus/contracts'
import type { Queryable } from '../db/database.ts'
import { sql } from '../db/sql.ts'
import type { SealedSecret, SecretVault } from '../vault/secret-vault.ts'
import { type AttemptSecrets, attemptContext } from './attempt-store.ts'

/** What a person brought, unused, with the code by which their app asks for it. */
export type HeldSecrets = { readonly completionCode: string } & (
  | ({ readonly kind: 'code' } & HeldCode)
  | { readonly kind: 'credentials'; readonly values: Readonly<Record<string, CredentialValue>> }
)

export type HeldCode = AttemptSecrets & {
  readonly code: string
  readonly redirectUri: string
  /** Parameters of the callback that the profile keeps for agents. */
  readonly callbackParams: Readonly<Record<string, unknown>>
}

export function sealHeld(vault: SecretVault, attemptId: string, held: HeldSecrets): SealedSecret {
  return vault.seal(JSON.stringify(held), attemptContext(attemptId))
}

/** @throws AppError `vault_integrity`, `key_unavailable` */
export function openHeld(vault: SecretVault, attemptId: string, { sealed, keyId }: SealedSecret): HeldSecrets {
  const held: HeldSecrets = JSON.parse(vault.open(sealed, attemptContext(attemptId), keyId))
  return held
}

/** What this very attempt keeps for the app; undefined where it keeps nothing (any more). */
export async function selectHeld(database: Queryable, attemptId: string): Promise<SealedSecret | undefined> {
  const [row] = await database.query<SealedSecret>(sql`
    select a.secrets as "sealed", a.key_id as "keyId"
      from handshake_attempts a
      join handshakes h on h.id = a.handshake_id
     where a.id = ${attemptId}::uuid and a.completion_hash is not null and a.secrets is not null
       and h.outcome is null and h.held_until > now()`)
  return row
}

export type StoredHold = {
  readonly attemptId: string
  readonly handshakeId: string
  readonly isReconnect: boolean
  readonly zone: string
  readonly providerId: string
  readonly workspaceId: string
  readonly completionHash: Buffer
  readonly isLate: boolean
  readonly sealed: Buffer | null
  readonly keyId: Buffer | null
}

/** All that is held for a connection, late or not, which nobody else takes or ends until the transaction does. */
export async function lockHolds(transaction: Queryable, connectionId: string): Promise<readonly StoredHold[]> {
  return transaction.query<StoredHold>(sql`
    select a.id as "attemptId", h.id as "handshakeId", h.purpose = 'reconnect' as "isReconnect", c.zone as "zone",
           c.provider_id as "providerId", c.workspace_id as "workspaceId", a.completion_hash as "completionHash",
           h.held_until <= now() as "isLate", a.secrets as "sealed", a.key_id as "keyId"
      from handshakes h
      join handshake_attempts a on a.handshake_id = h.id and a.completion_hash is not null
      join connections c on c.id = h.connection_id
     where h.connection_id = ${connectionId}::uuid and h.outcome is null and h.held_until is not null
     order by h.id
       for update of h`)
}

/**
 * Takes what is held out of the database, for this acceptance to follow through. From here on the handshake stands as
 * after a callback that was accepted a moment ago.
 */
export async function takeHold(transaction: Queryable, hold: StoredHold, acceptanceId: string): Promise<void> {
  await transaction.query(sql`
    with taken as (
      update handshakes set held_until = null, accepted_at = now(), acceptance_id = ${acceptanceId}::uuid
       where id = ${hold.handshakeId}::uuid
      returning connection_id, purpose
    ), waiting as (
      update connections set pending_until = greatest(pending_until, now() + interval '2 minutes')
       where id in (select connection_id from taken where purpose <> 'reconnect')
    )
    update handshake_attempts set secrets = null, key_id = null, completion_hash = null
     where id = ${hold.attemptId}::uuid`)
}

/** True where this acceptance took the hold: its acknowledgement was lost. */
export async function isTakenBy(database: Queryable, connectionId: string, acceptanceId: string): Promise<boolean> {
  const rows = await database.query(sql`
    select 1 from handshakes
     where connection_id = ${connectionId}::uuid and acceptance_id = ${acceptanceId}::uuid and held_until is null`)
  return rows.length > 0
}

/** Forgets what is held, unused. */
export async function destroyHold(transaction: Queryable, hold: StoredHold, error: string): Promise<void> {
  await transaction.query(sql`
    with ended as (
      update handshakes set held_until = null, outcome = 'error', outcome_error = ${error}::text
       where id = ${hold.handshakeId}::uuid
    )
    update handshake_attempts set secrets = null, key_id = null, completion_hash = null
     where id = ${hold.attemptId}::uuid`)
}

/** Connections for which something was held longer than it may be. */
export async function selectMissedHolds(database: Queryable, limit: number): Promise<readonly string[]> {
  const rows = await database.query<{ connectionId: string }>(sql`
    select distinct connection_id as "connectionId" from handshakes
     where held_until <= now() and outcome is null
     limit ${limit}::int`)
  return rows.map(({ connectionId }) => connectionId)
}
