import type { Queryable } from '../db/database.ts'
import { sql } from '../db/sql.ts'
import type { SealedSecret, SecretVault } from '../vault/secret-vault.ts'

// a code once accepted is exchanged within seconds; after this long its Broker is taken for dead
const abandonedAfter = '60 seconds'
const attemptLifetime = '10 minutes'
const maxLiveAttempts = 10

export type NewHandshake = {
  readonly id: string
  readonly connectionId: string
  readonly ticketHash: Buffer
  readonly returnUrl: string | undefined
  readonly profileDigest: Buffer
  readonly ttlSeconds: number
}

export async function insertHandshake(database: Queryable, handshake: NewHandshake): Promise<Date> {
  const [row] = await database.query<{ expires_at: Date }>(sql`
    insert into handshakes (id, connection_id, purpose, ticket_hash, return_url, profile_digest, expires_at)
    values (${handshake.id}::uuid, ${handshake.connectionId}::uuid, 'oauth', ${handshake.ticketHash}::bytea,
            ${handshake.returnUrl ?? null}::text, ${handshake.profileDigest}::bytea,
            now() + make_interval(secs => ${handshake.ttlSeconds}::int))
    returning expires_at`)
  if (!row) throw new Error('insert returned no row')
  return row.expires_at
}

export type HandshakeState = {
  readonly handshakeId: string
  readonly connectionId: string
  readonly providerId: string
  readonly profileDigest: Buffer
  readonly scopes: readonly string[]
  readonly isExpired: boolean
  /** A callback was accepted, or the connection is no longer waiting for one. */
  readonly isOver: boolean
  readonly now: Date
}

export async function selectHandshakeByTicket(
  database: Queryable,
  ticketHash: Buffer,
): Promise<HandshakeState | undefined> {
  const [row] = await database.query<HandshakeState>(sql`
    select h.id as "handshakeId", c.id as "connectionId", c.provider_id as "providerId",
           h.profile_digest as "profileDigest", c.scopes as "scopes", h.expires_at <= now() as "isExpired",
           (h.outcome is not null or c.status <> 'pending'
             or coalesce(h.accepted_at >= now() - ${abandonedAfter}::interval, false)) as "isOver",
           now() as "now"
      from handshakes h
      join connections c on c.id = h.connection_id
     where h.ticket_hash = ${ticketHash}::bytea`)
  return row
}

/** What an attempt keeps from the browser's departure to its return. */
export type AttemptSecrets = { readonly codeVerifier: string | undefined; readonly nonce: string }

export type NewAttempt = {
  readonly id: string
  readonly handshakeId: string
  readonly jtiHash: Buffer
  readonly cookieHash: Buffer
  readonly redirectUri: string
  readonly secrets: AttemptSecrets
}

/** Adds an attempt; beyond ten living ones the oldest gives way, so that a scanner cannot lock the person out. */
export async function insertAttempt(database: Queryable, vault: SecretVault, attempt: NewAttempt): Promise<void> {
  const secret: SealedSecret = vault.seal(JSON.stringify(attempt.secrets), attemptContext(attempt.id))
  await database.query(sql`
    with crowded as (
      select id from handshake_attempts
       where handshake_id = ${attempt.handshakeId}::uuid and consumed_at is null
       order by created_at desc, id desc
      offset ${maxLiveAttempts - 1}::int
    ), evicted as (
      delete from handshake_attempts where id in (select id from crowded)
    )
    insert into handshake_attempts (id, handshake_id, jti_hash, cookie_hash, redirect_uri, secrets, key_id, expires_at)
    values (${attempt.id}::uuid, ${attempt.handshakeId}::uuid, ${attempt.jtiHash}::bytea, ${attempt.cookieHash}::bytea,
            ${attempt.redirectUri}::text, ${secret.sealed}::bytea, ${secret.keyId}::bytea,
            now() + ${attemptLifetime}::interval)`)
}

function attemptContext(id: string) {
  return { purpose: 'handshake-attempt', recordId: id, version: 1 } as const
}

export type AttemptState = {
  readonly attemptId: string
  readonly handshakeId: string
  readonly connectionId: string
  readonly zone: string
  readonly providerId: string
  readonly providerName: string
  readonly scopes: readonly string[]
  readonly returnUrl: string | undefined
  readonly profileDigest: Buffer
  readonly cookieHash: Buffer
  readonly redirectUri: string
  readonly isConsumed: boolean
  readonly isExpired: boolean
  readonly sealedSecrets: Buffer | null
}

export async function selectAttempt(database: Queryable, jtiHash: Buffer): Promise<AttemptState | undefined> {
  const [row] = await database.query<Omit<AttemptState, 'returnUrl'> & { readonly returnUrl: string | null }>(sql`
    select a.id as "attemptId", h.id as "handshakeId", c.id as "connectionId", c.zone as "zone",
           c.provider_id as "providerId", p.name as "providerName", c.scopes as "scopes", h.return_url as "returnUrl",
           h.profile_digest as "profileDigest", a.cookie_hash as "cookieHash", a.redirect_uri as "redirectUri",
           a.consumed_at is not null as "isConsumed", a.expires_at <= now() as "isExpired", a.secrets as "sealedSecrets"
      from handshake_attempts a
      join handshakes h on h.id = a.handshake_id
      join connections c on c.id = h.connection_id
      join provider_profiles p on p.id = c.provider_id
     where a.jti_hash = ${jtiHash}::bytea`)
  return row && { ...row, returnUrl: row.returnUrl ?? undefined }
}

/** @throws AppError `vault_integrity`, `key_unavailable` */
export function openAttemptSecrets(vault: SecretVault, { attemptId, sealedSecrets }: AttemptState): AttemptSecrets {
  if (sealedSecrets === null) throw new Error('the secrets of a consumed attempt are gone')
  return JSON.parse(vault.open(sealedSecrets, attemptContext(attemptId))) as AttemptSecrets
}

/**
 * Accepts this attempt as the one that may present its code (H2). Of any number of callbacks, for this attempt or another
 * of its handshake, on any number of Brokers, one gets `true`: the row of the handshake is the lock they meet at.
 * One that was accepted long ago and has no outcome belonged to a Broker that died; the next attempt may take its place.
 */
export async function acceptAttempt(database: Queryable, attempt: AttemptState): Promise<boolean> {
  const rows = await database.query(sql`
    with accepted as (
      update handshakes h
         set accepted_attempt_id = a.id, accepted_at = now()
        from handshake_attempts a, connections c
       where h.id = ${attempt.handshakeId}::uuid and a.id = ${attempt.attemptId}::uuid and c.id = h.connection_id
         and a.handshake_id = h.id and a.consumed_at is null and a.expires_at > now()
         and c.status = 'pending' and h.outcome is null
         and (h.accepted_at is null or h.accepted_at < now() - ${abandonedAfter}::interval)
      returning h.connection_id
    ), consumed as (
      update handshake_attempts set consumed_at = now(), secrets = null, key_id = null
       where id = ${attempt.attemptId}::uuid and exists (select from accepted)
    ), held as (
      -- an exchange under way is not overtaken by the link's deadline
      update connections set pending_until = greatest(pending_until, now() + interval '2 minutes')
       where id in (select connection_id from accepted)
    )
    select 1 from accepted`)
  return rows.length === 1
}

/** Holds the handshake until the transaction ends. `open`: this attempt is the accepted one, and has no outcome yet. */
export async function lockOutcome(
  transaction: Queryable,
  attempt: AttemptState,
): Promise<'open' | 'success' | 'error' | 'superseded'> {
  const [row] = await transaction.query<RecordedOutcome>(sql`
    select outcome, outcome_error as error, accepted_attempt_id as "acceptedAttemptId"
      from handshakes where id = ${attempt.handshakeId}::uuid
       for update`)
  if (row?.acceptedAttemptId !== attempt.attemptId) return 'superseded'
  return row.outcome ?? 'open'
}

export async function updateOutcome(
  transaction: Queryable,
  attempt: AttemptState,
  outcome: 'success' | 'error',
  error: string | undefined,
): Promise<void> {
  await transaction.query(sql`
    update handshakes set outcome = ${outcome}::text, outcome_error = ${error ?? null}::text
     where id = ${attempt.handshakeId}::uuid`)
}

export type RecordedOutcome = {
  readonly outcome: 'success' | 'error' | null
  readonly error: string | null
  readonly acceptedAttemptId: string | null
}

export async function selectOutcome(database: Queryable, handshakeId: string): Promise<RecordedOutcome | undefined> {
  const [row] = await database.query<RecordedOutcome>(sql`
    select outcome, outcome_error as error, accepted_attempt_id as "acceptedAttemptId"
      from handshakes where id = ${handshakeId}::uuid`)
  return row
}

/** What an earlier request with this Idempotency-Key made within 24 hours. */
export async function selectIdempotent(
  transaction: Queryable,
  caller: string,
  keyHash: Buffer,
): Promise<{ readonly connectionId: string; readonly bodyHash: Buffer } | undefined> {
  const [row] = await transaction.query<{ connectionId: string; bodyHash: Buffer }>(sql`
    select connection_id as "connectionId", body_hash as "bodyHash"
      from idempotency_keys
     where caller = ${caller}::text and key_hash = ${keyHash}::bytea and created_at > now() - interval '24 hours'`)
  return row
}

/** @returns false where a living entry stands already: somebody was faster. */
export async function insertIdempotent(
  transaction: Queryable,
  entry: {
    readonly caller: string
    readonly keyHash: Buffer
    readonly bodyHash: Buffer
    readonly connectionId: string
  },
): Promise<boolean> {
  const rows = await transaction.query(sql`
    insert into idempotency_keys as k (caller, key_hash, body_hash, connection_id)
    values (${entry.caller}::text, ${entry.keyHash}::bytea, ${entry.bodyHash}::bytea, ${entry.connectionId}::uuid)
    on conflict (caller, key_hash) do update
       set body_hash = excluded.body_hash, connection_id = excluded.connection_id, created_at = now()
     where k.created_at <= now() - interval '24 hours'
    returning 1`)
  return rows.length === 1
}
