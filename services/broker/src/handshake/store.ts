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
  /** Its deadline has passed, swept or not. */
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
           h.profile_digest as "profileDigest", c.scopes as "scopes",
           (h.expires_at <= now() or c.status = 'expired') as "isExpired",
           (h.outcome is not null or c.status not in ('pending', 'expired')
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

/**
 * Adds an attempt; beyond ten living ones the newest gives way: whoever is at the provider already stays, however often
 * the link is opened meanwhile, and whoever comes after a scanner still gets in. Who opened the link in time may finish
 * after its deadline: the connection waits as long as the attempt lives.
 */
export async function insertAttempt(transaction: Queryable, vault: SecretVault, attempt: NewAttempt): Promise<void> {
  const secret: SealedSecret = vault.seal(JSON.stringify(attempt.secrets), attemptContext(attempt.id))
  // one opening after the other, or each would count without the others
  await transaction.query(sql`select 1 from handshakes where id = ${attempt.handshakeId}::uuid for update`)
  await transaction.query(sql`
    with crowded as (
      select id from handshake_attempts
       where handshake_id = ${attempt.handshakeId}::uuid and consumed_at is null and expires_at > now()
       order by created_at, id
      offset ${maxLiveAttempts - 1}::int
    ), evicted as (
      delete from handshake_attempts where id in (select id from crowded)
    ), held as (
      update connections c set pending_until = now() + ${attemptLifetime}::interval
        from handshakes h
       where h.id = ${attempt.handshakeId}::uuid and c.id = h.connection_id
         and c.status = 'pending' and c.pending_until < now() + ${attemptLifetime}::interval
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
  readonly isProfileRemoved: boolean
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
           h.profile_digest as "profileDigest", p.deleted_at is not null as "isProfileRemoved",
           a.cookie_hash as "cookieHash", a.redirect_uri as "redirectUri",
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
  const secrets: AttemptSecrets = JSON.parse(vault.open(sealedSecrets, attemptContext(attemptId)))
  return secrets
}

/**
 * Accepts this attempt as the one that may present its code (H2). Of any number of callbacks, for this attempt or another
 * of its handshake, on any number of Brokers, one gets `true`: the row of the handshake is the lock they meet at.
 * One that was accepted long ago and has no outcome belonged to a Broker that died; the next attempt may take its place.
 * With the same `acceptanceId` it may be repeated after a lost acknowledgement (R4): it finds what it did before.
 */
export async function acceptAttempt(
  database: Queryable,
  attempt: AttemptState,
  acceptanceId: string,
): Promise<boolean> {
  const rows = await database.query(sql`
    with accepted as (
      update handshakes h
         set acceptance_id = ${acceptanceId}::uuid, accepted_at = now()
        from handshake_attempts a, connections c
       where h.id = ${attempt.handshakeId}::uuid and a.id = ${attempt.attemptId}::uuid and c.id = h.connection_id
         and a.handshake_id = h.id and a.consumed_at is null and a.expires_at > now()
         and c.status = 'pending' and c.pending_until > now() and h.outcome is null
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
    select true as "isAccepted" from accepted
    union all
    select true from handshakes where id = ${attempt.handshakeId}::uuid and acceptance_id = ${acceptanceId}::uuid`)
  return rows.length > 0
}

/** An attempt that this Broker may follow through, by the id of its acceptance. */
export type AcceptedAttempt = AttemptState & { readonly acceptanceId: string }

/** Holds the handshake until the transaction ends. `open`: this acceptance stands, and has no outcome yet. */
export async function lockOutcome(
  transaction: Queryable,
  attempt: AcceptedAttempt,
): Promise<'open' | 'success' | 'error' | 'superseded'> {
  const [row] = await transaction.query<{ outcome: RecordedOutcome['outcome']; acceptanceId: string | null }>(sql`
    select outcome, acceptance_id as "acceptanceId"
      from handshakes where id = ${attempt.handshakeId}::uuid
       for update`)
  if (row?.acceptanceId !== attempt.acceptanceId) return 'superseded'
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

/** Holds all handshakes of a connection until the transaction ends; ends those whose code nobody presents right now. */
export async function endHandshakesOf(transaction: Queryable, connectionId: string): Promise<void> {
  await transaction.query(sql`
    with held as (
      select id, outcome is null and coalesce(accepted_at < now() - ${abandonedAfter}::interval, true) as "isIdle"
        from handshakes where connection_id = ${connectionId}::uuid
       order by id
         for update
    ), ended as (
      update handshakes set outcome = 'error', outcome_error = 'already_completed'
       where id in (select id from held where "isIdle")
    )
    update handshake_attempts set consumed_at = coalesce(consumed_at, now()), secrets = null, key_id = null
     where id in (
       select id from handshake_attempts
        where handshake_id in (select id from held) and secrets is not null
          for update skip locked)`)
}

export type RecordedOutcome = {
  readonly outcome: 'success' | 'error' | null
  readonly error: string | null
  /** Somebody presents a code now, or died doing so a moment ago. */
  readonly isUnderWay: boolean
  /** The connection neither waits for its user nor missed them: something else became of it. */
  readonly isElsewhere: boolean
}

export async function selectOutcome(database: Queryable, handshakeId: string): Promise<RecordedOutcome | undefined> {
  const [row] = await database.query<RecordedOutcome>(sql`
    select h.outcome, h.outcome_error as error,
           coalesce(h.accepted_at >= now() - ${abandonedAfter}::interval, false) as "isUnderWay",
           c.status not in ('pending', 'expired') as "isElsewhere"
      from handshakes h
      join connections c on c.id = h.connection_id
     where h.id = ${handshakeId}::uuid`)
  return row
}
