import type { CredentialValue } from '@nexus/contracts'
import type { Queryable } from '../db/database.ts'
import { fragment, sql } from '../db/sql.ts'
import type { SecretVault } from '../vault/secret-vault.ts'
import {
  type Acceptance,
  type AttemptRow,
  type AttemptSecrets,
  type AttemptState,
  acceptAttempt,
  attemptColumns,
  attemptContext,
  attemptSource,
  fromAttemptRow,
} from './attempt-store.ts'
import { forgetHeldOf } from './store.ts'

/** What a person brought: a code nobody has presented yet, or what was typed in. */
export type Brought =
  | (AttemptSecrets & {
      readonly kind: 'code'
      readonly code: string
      /** Parameters of the callback that the profile keeps for agents. */
      readonly callbackParams: Readonly<Record<string, unknown>>
    })
  | { readonly kind: 'credentials'; readonly values: Readonly<Record<string, CredentialValue>> }

/** It lies sealed beside the code that asks for it, so that who repeats their callback is sent the same way. */
export type Held = Brought & { readonly completionCode: string }

export type NewHold = { readonly held: Held; readonly completionHash: Buffer; readonly seconds: number }

/** Accepts an attempt and puts aside what it brought, by one statement. */
export function holdAttempt(
  database: Queryable,
  vault: SecretVault,
  attempt: AttemptState,
  acceptanceId: string,
  { held, completionHash, seconds }: NewHold,
): Promise<Acceptance | undefined> {
  const sealed = vault.seal(JSON.stringify(held), attemptContext(attempt.attemptId))
  return acceptAttempt(database, attempt, acceptanceId, { ...sealed, completionHash, seconds })
}

/** An attempt with what became of what it brought. All times are the database's. */
export type HoldState = AttemptState & {
  readonly workspaceId: string
  /** Nobody has asked for it yet, or not in time. */
  readonly isHeld: boolean
  readonly isLate: boolean
}

type HoldRow = AttemptRow & Pick<HoldState, 'workspaceId' | 'isHeld' | 'isLate'>

const holdColumns = fragment`${attemptColumns}, c.workspace_id as "workspaceId",
           h.outcome is null and h.held_until is not null as "isHeld", coalesce(h.held_until <= now(), false) as "isLate"`

export async function selectHold(database: Queryable, attemptId: string): Promise<HoldState | undefined> {
  const [row] = await database.query<HoldRow>(sql`
    select ${holdColumns} from ${attemptSource} where a.id = ${attemptId}::uuid`)
  return row && fromAttemptRow(row)
}

/** By its completion code, whatever became of it, if it is one of this connection. */
export async function selectHoldByCode(
  database: Queryable,
  connectionId: string,
  completionHash: Buffer,
): Promise<HoldState | undefined> {
  const [row] = await database.query<HoldRow>(sql`
    select ${holdColumns} from ${attemptSource}
     where a.completion_hash = ${completionHash}::bytea and c.id = ${connectionId}::uuid`)
  return row && fromAttemptRow(row)
}

/** @throws AppError `vault_integrity`, `key_unavailable` */
export function openHeld(vault: SecretVault, { attemptId, sealedSecrets }: AttemptState): Held {
  if (sealedSecrets === null) throw new Error('nothing is held in this attempt')
  const held: Held = JSON.parse(vault.open(sealedSecrets, attemptContext(attemptId)))
  // what an attempt keeps before its callback is sealed for the same place
  if (typeof held.completionCode !== 'string') throw new Error('this attempt has not come back yet')
  return held
}

export type HoldKey = {
  readonly attempt: AttemptState
  readonly completionHash: Buffer
  /** Whose account it is, says the app. */
  readonly workspaceId: string
}

/**
 * Takes what is held, in time and for the right person, to follow it through: of any number who ask, on any number of
 * Brokers, one gets it (H2). From here on it is as if its callback had been accepted now: who dies with it leaves a
 * handshake that a new opening of its link may take up after the grace.
 * With the same `acceptanceId` it may be repeated after a lost acknowledgement (R4): it finds what it did before.
 */
export async function takeHold(
  database: Queryable,
  { attempt, completionHash, workspaceId }: HoldKey,
  acceptanceId: string,
): Promise<boolean> {
  const rows = await database.query(sql`
    with taken as (
      update handshakes h set acceptance_id = ${acceptanceId}::uuid, accepted_at = now(), held_until = null
        from handshake_attempts a, connections c
       where h.id = ${attempt.handshakeId}::uuid and a.id = ${attempt.attemptId}::uuid and c.id = h.connection_id
         and a.handshake_id = h.id and a.completion_hash = ${completionHash}::bytea
         and c.workspace_id = ${workspaceId}::text and h.outcome is null and h.held_until > now()
         and case h.purpose when 'reconnect' then c.status <> 'revoked'
                            else c.status = 'pending' and c.pending_until > now() end
      returning h.connection_id, h.purpose
    ), forgotten as (
      update handshake_attempts set secrets = null, key_id = null
       where id = ${attempt.attemptId}::uuid and exists (select from taken)
    ), kept as (
      update connections set pending_until = greatest(pending_until, now() + interval '2 minutes')
       where id in (select connection_id from taken where purpose <> 'reconnect')
    )
    select true as "isTaken" from taken
    union all
    select true from handshakes where id = ${attempt.handshakeId}::uuid and acceptance_id = ${acceptanceId}::uuid`)
  return rows.length > 0
}

/** A handshake whose hold was destroyed. */
export type DestroyedHold = {
  readonly connectionId: string
  readonly providerId: string
  readonly zone: string
  /** Its connection waited for it. */
  readonly isFirst: boolean
}

/**
 * Destroys what a connection's handshakes hold, and ends them so.
 * @param which - `late`: only what the app did not come for in time
 */
export function destroyHolds(
  transaction: Queryable,
  connectionId: string,
  which: 'all' | 'late',
  error: string,
): Promise<readonly DestroyedHold[]> {
  return transaction.query<DestroyedHold>(sql`
    with held as (
      select id from handshakes
       where connection_id = ${connectionId}::uuid and outcome is null and held_until is not null
         and (${which}::text = 'all' or held_until <= now())
       order by id
         for update
    ), ended as (
      update handshakes set outcome = 'error', outcome_error = ${error}::text, held_until = null
       where id in (select id from held)
      returning id, connection_id, purpose
    ), forgotten as (
      ${forgetHeldOf(fragment`select id from ended`)}
    )
    select c.id as "connectionId", c.provider_id as "providerId", c.zone as "zone", e.purpose <> 'reconnect' as "isFirst"
      from ended e
      join connections c on c.id = e.connection_id`)
}

/** Connections for which something was held that nobody came for in time. */
export async function selectMissed(database: Queryable, limit: number): Promise<readonly string[]> {
  const rows = await database.query<{ readonly id: string }>(sql`
    select distinct connection_id as id from handshakes
     where held_until <= now() and outcome is null
     limit ${limit}::int`)
  return rows.map(({ id }) => id)
}

/** What the audit says of a connection. */
export async function selectSubject(
  database: Queryable,
  connectionId: string,
): Promise<Omit<DestroyedHold, 'isFirst'> | undefined> {
  const [row] = await database.query<Omit<DestroyedHold, 'isFirst'>>(sql`
    select id as "connectionId", provider_id as "providerId", zone from connections where id = ${connectionId}::uuid`)
  return row
}
