import type { Queryable } from '../db/database.ts'
import { fragment, sql } from '../db/sql.ts'
import type { SealedSecret, SecretVault } from '../vault/secret-vault.ts'

/** A code once accepted is exchanged within seconds; after this long its Broker is taken for dead. */
export const abandonedAfter = '60 seconds'
const attemptLifetime = '10 minutes'
const maxLiveAttempts = 10

/** `oauth`: the first grant of a connection that waits for it. `reconnect`: a new grant for one that is past waiting. */
export type HandshakePurpose = 'oauth' | 'reconnect'

export type NewHandshake = {
  readonly id: string
  readonly connectionId: string
  readonly purpose: HandshakePurpose
  readonly ticketHash: Buffer
  readonly scopes: readonly string[]
  /** Becomes the connection's on success; undefined leaves it as it is. */
  readonly metadata: Readonly<Record<string, unknown>> | undefined
  readonly allowsAccountChange: boolean
  readonly returnUrl: string | undefined
  readonly profileDigest: Buffer
  readonly ttlSeconds: number
}

export async function insertHandshake(database: Queryable, handshake: NewHandshake): Promise<Date> {
  const [row] = await database.query<{ expires_at: Date }>(sql`
    insert into handshakes (id, connection_id, purpose, ticket_hash, scopes, metadata, allow_account_change, return_url,
                            profile_digest, expires_at)
    values (${handshake.id}::uuid, ${handshake.connectionId}::uuid, ${handshake.purpose}::text,
            ${handshake.ticketHash}::bytea, ${handshake.scopes}::text[],
            ${handshake.metadata === undefined ? null : JSON.stringify(handshake.metadata)}::json,
            ${handshake.allowsAccountChange}::boolean, ${handshake.returnUrl ?? null}::text,
            ${handshake.profileDigest}::bytea,
            now() + make_interval(secs => ${handshake.ttlSeconds}::int))
    returning expires_at`)
  if (!row) throw new Error('insert returned no row')
  return row.expires_at
}

/** Until the transaction ends nobody else starts a reconnect of this connection: of two, the later finds the earlier. */
export async function lockReconnects(transaction: Queryable, connectionId: string): Promise<void> {
  await transaction.query(sql`select pg_advisory_xact_lock(hashtextextended(${connectionId}::text, 0))`)
}

/**
 * A newer link takes the place of all that are open: they read as expired, and what is under way on one of them, an
 * exchange included, has its outcome. In the order in which everybody holds several handshakes of one connection.
 */
export async function supersedeHandshakes(transaction: Queryable, connectionId: string): Promise<void> {
  await transaction.query(sql`
    with held as (
      select id from handshakes
       where connection_id = ${connectionId}::uuid and outcome is null
       order by id
         for update
    )
    update handshakes set outcome = 'error', outcome_error = 'link_expired' where id in (select id from held)`)
}

/** True while nothing has come of a handshake, past its deadline too. */
export async function isHandshakeOpen(database: Queryable, handshakeId: string): Promise<boolean> {
  const rows = await database.query(sql`
    select 1 from handshakes where id = ${handshakeId}::uuid and outcome is null`)
  return rows.length > 0
}

/** The connection has no use for what the handshake brings: it neither waits for its person nor missed them. */
export const isElsewhere = fragment`
  case h.purpose when 'reconnect' then c.status = 'revoked' else c.status not in ('pending', 'expired') end`

// rows of Brokers that are about to be upgraded have no scopes of their own
const scopesOf = fragment`coalesce(h.scopes, c.scopes)`

export type HandshakeState = {
  readonly handshakeId: string
  readonly connectionId: string
  readonly providerId: string
  readonly profileDigest: Buffer
  readonly scopes: readonly string[]
  /** Its deadline has passed, swept or not, or a newer link took its place. */
  readonly isExpired: boolean
  /** A callback was accepted, or the connection has no use for one. */
  readonly isOver: boolean
  readonly now: Date
}

export async function selectHandshakeByTicket(
  database: Queryable,
  ticketHash: Buffer,
): Promise<HandshakeState | undefined> {
  const [row] = await database.query<HandshakeState>(sql`
    select h.id as "handshakeId", c.id as "connectionId", c.provider_id as "providerId",
           h.profile_digest as "profileDigest", ${scopesOf} as "scopes",
           (h.expires_at <= now() or (h.purpose <> 'reconnect' and c.status = 'expired')
             or h.outcome_error is not distinct from 'link_expired') as "isExpired",
           (${isElsewhere} or (h.outcome is not null and h.outcome_error is distinct from 'link_expired')
             or (h.outcome is null and coalesce(h.accepted_at >= now() - ${abandonedAfter}::interval, false))) as "isOver",
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
 * after its deadline: a connection that waits for its first grant waits as long as the attempt lives.
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
       where h.id = ${attempt.handshakeId}::uuid and h.purpose <> 'reconnect' and c.id = h.connection_id
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
  readonly isReconnect: boolean
  readonly scopes: readonly string[]
  /** Becomes the connection's on success; undefined leaves it as it is. */
  readonly metadata: Readonly<Record<string, unknown>> | undefined
  readonly allowsAccountChange: boolean
  readonly returnUrl: string | undefined
  readonly profileDigest: Buffer
  readonly isProfileRemoved: boolean
  readonly cookieHash: Buffer
  readonly redirectUri: string
  readonly isConsumed: boolean
  readonly isExpired: boolean
  readonly sealedSecrets: Buffer | null
}

type AttemptRow = Omit<AttemptState, 'returnUrl' | 'metadata'> & {
  readonly returnUrl: string | null
  readonly metadata: Record<string, unknown> | null
}

export async function selectAttempt(database: Queryable, jtiHash: Buffer): Promise<AttemptState | undefined> {
  const [row] = await database.query<AttemptRow>(sql`
    select a.id as "attemptId", h.id as "handshakeId", c.id as "connectionId", c.zone as "zone",
           c.provider_id as "providerId", p.name as "providerName", h.purpose = 'reconnect' as "isReconnect",
           ${scopesOf} as "scopes", h.metadata as "metadata", h.allow_account_change as "allowsAccountChange",
           h.return_url as "returnUrl", h.profile_digest as "profileDigest", p.deleted_at is not null as "isProfileRemoved",
           a.cookie_hash as "cookieHash", a.redirect_uri as "redirectUri",
           a.consumed_at is not null as "isConsumed", a.expires_at <= now() as "isExpired", a.secrets as "sealedSecrets"
      from handshake_attempts a
      join handshakes h on h.id = a.handshake_id
      join connections c on c.id = h.connection_id
      join provider_profiles p on p.id = c.provider_id
     where a.jti_hash = ${jtiHash}::bytea`)
  return row && { ...row, returnUrl: row.returnUrl ?? undefined, metadata: row.metadata ?? undefined }
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
         and case h.purpose when 'reconnect' then c.status <> 'revoked'
                            else c.status = 'pending' and c.pending_until > now() end
         and h.outcome is null and (h.accepted_at is null or h.accepted_at < now() - ${abandonedAfter}::interval)
      returning h.connection_id, h.purpose
    ), consumed as (
      update handshake_attempts set consumed_at = now(), secrets = null, key_id = null
       where id = ${attempt.attemptId}::uuid and exists (select from accepted)
    ), held as (
      -- the exchange for a first grant is not overtaken by the link's deadline
      update connections set pending_until = greatest(pending_until, now() + interval '2 minutes')
       where id in (select connection_id from accepted where purpose <> 'reconnect')
    )
    select true as "isAccepted" from accepted
    union all
    select true from handshakes where id = ${attempt.handshakeId}::uuid and acceptance_id = ${acceptanceId}::uuid`)
  return rows.length > 0
}

/** An attempt that this Broker may follow through, by the id of its acceptance. */
export type AcceptedAttempt = AttemptState & { readonly acceptanceId: string }

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
