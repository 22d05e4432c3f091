import type { Queryable } from '../db/database.ts'
import { fragment, sql } from '../db/sql.ts'
import type { SealedSecret, SecretVault } from '../vault/secret-vault.ts'
import { abandonedAfter, scopesOf } from './store.ts'

const maxLiveAttempts = 10

/** What an attempt keeps from the browser's departure to its return. */
export type AttemptSecrets = { readonly codeVerifier: string | undefined; readonly nonce: string }

export type NewAttempt = {
  readonly id: string
  readonly handshakeId: string
  readonly jtiHash: Buffer
  readonly cookieHash: Buffer
  /** undefined: nobody is sent to the provider. */
  readonly redirectUri: string | undefined
  /** undefined: nothing needs to be remembered. */
  readonly secrets: AttemptSecrets | undefined
  readonly lifetimeSeconds: number
}

/**
 * Adds an attempt; beyond ten living ones the newest gives way: whoever is at the provider already stays, however often
 * the link is opened meanwhile, and whoever comes after a scanner still gets in. Who opened the link in time may finish
 * after its deadline: a connection that waits for its first grant waits as long as the attempt lives.
 */
export async function insertAttempt(transaction: Queryable, vault: SecretVault, attempt: NewAttempt): Promise<void> {
  const secret: Partial<SealedSecret> =
    attempt.secrets === undefined ? {} : vault.seal(JSON.stringify(attempt.secrets), attemptContext(attempt.id))
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
      update connections c set pending_until = now() + make_interval(secs => ${attempt.lifetimeSeconds}::int)
        from handshakes h
       where h.id = ${attempt.handshakeId}::uuid and h.purpose <> 'reconnect' and c.id = h.connection_id
         and c.status = 'pending' and c.pending_until < now() + make_interval(secs => ${attempt.lifetimeSeconds}::int)
    )
    insert into handshake_attempts (id, handshake_id, jti_hash, cookie_hash, redirect_uri, secrets, key_id, expires_at)
    values (${attempt.id}::uuid, ${attempt.handshakeId}::uuid, ${attempt.jtiHash}::bytea, ${attempt.cookieHash}::bytea,
            ${attempt.redirectUri ?? null}::text, ${secret.sealed ?? null}::bytea, ${secret.keyId ?? null}::bytea,
            now() + make_interval(secs => ${attempt.lifetimeSeconds}::int))`)
}

/** What an attempt keeps, before its callback and after, is sealed for this place alone. */
export function attemptContext(id: string) {
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
  /** undefined where nobody is sent to the provider. */
  readonly redirectUri: string | undefined
  /** `app`: what the person brings is held until the app has said whose account it is. */
  readonly completion: 'app' | undefined
  readonly isConsumed: boolean
  readonly isExpired: boolean
  readonly sealedSecrets: Buffer | null
}

export type AttemptRow = Omit<AttemptState, 'returnUrl' | 'redirectUri' | 'completion' | 'metadata'> & {
  readonly returnUrl: string | null
  readonly redirectUri: string | null
  readonly completion: 'app' | null
  readonly metadata: Record<string, unknown> | null
}

export const attemptColumns = fragment`
           a.id as "attemptId", h.id as "handshakeId", c.id as "connectionId", c.zone as "zone",
           c.provider_id as "providerId", p.name as "providerName", h.purpose = 'reconnect' as "isReconnect",
           ${scopesOf} as "scopes", h.metadata as "metadata", h.allow_account_change as "allowsAccountChange",
           h.return_url as "returnUrl", h.profile_digest as "profileDigest", p.deleted_at is not null as "isProfileRemoved",
           a.cookie_hash as "cookieHash", a.redirect_uri as "redirectUri", h.completion as "completion",
           a.consumed_at is not null as "isConsumed", a.expires_at <= now() as "isExpired", a.secrets as "sealedSecrets"`

export const attemptSource = fragment`
      handshake_attempts a
      join handshakes h on h.id = a.handshake_id
      join connections c on c.id = h.connection_id
      join provider_profiles p on p.id = c.provider_id`

export function fromAttemptRow<Row extends AttemptRow>(row: Row) {
  return {
    ...row,
    returnUrl: row.returnUrl ?? undefined,
    redirectUri: row.redirectUri ?? undefined,
    completion: row.completion ?? undefined,
    metadata: row.metadata ?? undefined,
  }
}

export type Opening = { readonly jtiHash: Buffer; readonly cookieHash: Buffer }

/** Openings of a link that may still come back. */
export function selectOpenings(database: Queryable, handshakeId: string): Promise<readonly Opening[]> {
  return database.query<Opening>(sql`
    select jti_hash as "jtiHash", cookie_hash as "cookieHash" from handshake_attempts
     where handshake_id = ${handshakeId}::uuid and expires_at > now()`)
}

/** Whether the attempt that was accepted, if any was, was opened in another browser than this one. */
export async function wasAcceptedElsewhere(
  database: Queryable,
  { handshakeId, cookieHash }: Pick<AttemptState, 'handshakeId' | 'cookieHash'>,
): Promise<boolean> {
  const rows = await database.query(sql`
    select from handshakes h
     where h.id = ${handshakeId}::uuid and h.accepted_attempt_id is not null
       and not exists (select from handshake_attempts a
                        where a.id = h.accepted_attempt_id and a.cookie_hash = ${cookieHash}::bytea)`)
  return rows.length > 0
}

export async function selectAttempt(database: Queryable, jtiHash: Buffer): Promise<AttemptState | undefined> {
  const [row] = await database.query<AttemptRow>(sql`
    select ${attemptColumns} from ${attemptSource} where a.jti_hash = ${jtiHash}::bytea`)
  return row && fromAttemptRow(row)
}

/** @throws AppError `vault_integrity`, `key_unavailable` */
export function openAttemptSecrets(vault: SecretVault, { attemptId, sealedSecrets }: AttemptState): AttemptSecrets {
  if (sealedSecrets === null) throw new Error('the secrets of this attempt are gone')
  const secrets: AttemptSecrets = JSON.parse(vault.open(sealedSecrets, attemptContext(attemptId)))
  return secrets
}

/** What is held of an accepted attempt until the app completes it; sealed. */
export type AttemptHold = SealedSecret & { readonly completionHash: Buffer; readonly seconds: number }

/** `before`: it was accepted already, by the same id: the acknowledgement of that was lost. */
export type Acceptance = 'now' | 'before'

/**
 * Accepts this attempt as the one that may present its code (H2). Of any number of callbacks, for this attempt or another
 * of its handshake, on any number of Brokers, one is told so: the row of the handshake is the lock they meet at.
 * One that was accepted long ago and has no outcome belonged to a Broker that died; the next attempt may take its place.
 * With the same `acceptanceId` it may be repeated after a lost acknowledgement (R4): it finds what it did before.
 *
 * Where the app completes the handshake, what it brought is put aside by the same statement: whoever dies here leaves
 * either an attempt that nobody used, or one that waits for the app.
 * @returns undefined where somebody else was first, or there is nothing to accept any more
 */
export async function acceptAttempt(
  database: Queryable,
  attempt: AttemptState,
  acceptanceId: string,
  hold?: AttemptHold,
): Promise<Acceptance | undefined> {
  const holdSeconds = hold?.seconds ?? null
  const [row] = await database.query<{ readonly isAccepted: Acceptance }>(sql`
    with accepted as (
      update handshakes h
         set acceptance_id = ${acceptanceId}::uuid, accepted_at = now(), accepted_attempt_id = a.id,
             held_until = now() + make_interval(secs => ${holdSeconds}::int)
        from handshake_attempts a, connections c
       where h.id = ${attempt.handshakeId}::uuid and a.id = ${attempt.attemptId}::uuid and c.id = h.connection_id
         and a.handshake_id = h.id and a.consumed_at is null and a.expires_at > now()
         and case h.purpose when 'reconnect' then c.status <> 'revoked'
                            else c.status = 'pending' and c.pending_until > now() end
         and h.outcome is null and h.held_until is null
         and (h.accepted_at is null or h.accepted_at < now() - ${abandonedAfter}::interval)
      returning h.connection_id, h.purpose
    ), consumed as (
      update handshake_attempts
         set consumed_at = now(), secrets = ${hold?.sealed ?? null}::bytea, key_id = ${hold?.keyId ?? null}::bytea,
             completion_hash = ${hold?.completionHash ?? null}::bytea,
             -- whatever else happens, nothing lies here for longer
             expires_at = coalesce(now() + make_interval(secs => ${holdSeconds}::int), expires_at)
       where id = ${attempt.attemptId}::uuid and exists (select from accepted)
    ), held as (
      -- the exchange for a first grant is not overtaken by the link's deadline
      update connections
         set pending_until = greatest(pending_until,
                                      now() + interval '2 minutes' + make_interval(secs => ${holdSeconds ?? 0}::int))
       where id in (select connection_id from accepted where purpose <> 'reconnect')
    )
    select 'now' as "isAccepted" from accepted
    union all
    select 'before' from handshakes where id = ${attempt.handshakeId}::uuid and acceptance_id = ${acceptanceId}::uuid`)
  return row?.isAccepted
}

/** An attempt that this Broker may follow through, by the id of its acceptance. */
export type AcceptedAttempt = AttemptState & { readonly acceptanceId: string }
