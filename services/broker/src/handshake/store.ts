import type { Queryable } from '../db/database.ts'
import { type Sql, fragment, sql } from '../db/sql.ts'

/** A code once accepted is exchanged within seconds; after this long its Broker is taken for dead. */
export const abandonedAfter = '60 seconds'

/**
 * Of a link, at the provider. Nobody mistypes so often; whoever wants to know which of many stolen keys work would.
 * No clock gives them back: a person who is out of tries gets a new link from the app.
 */
const mostTries = 20

/**
 * `oauth`: the first grant of a connection that waits for it; `capture`: that grant is typed in. `reconnect`: a new grant,
 * of either kind, for one that is past waiting.
 */
export type HandshakePurpose = 'oauth' | 'capture' | 'reconnect'

export type NewHandshake = {
  readonly id: string
  readonly connectionId: string
  readonly purpose: HandshakePurpose
  readonly ticketHash: Buffer
  /** Of the state that whoever asked for the link is given. */
  readonly requestJtiHash: Buffer
  /** A page asks before anybody is sent to the provider. */
  readonly confirm: boolean
  /** `app`: the app says whose account it is, before anything is connected. */
  readonly completion: 'app' | undefined
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
    insert into handshakes (id, connection_id, purpose, ticket_hash, request_jti_hash, confirm, completion, scopes, metadata,
                            allow_account_change, return_url, profile_digest, expires_at)
    values (${handshake.id}::uuid, ${handshake.connectionId}::uuid, ${handshake.purpose}::text,
            ${handshake.ticketHash}::bytea, ${handshake.requestJtiHash}::bytea, ${handshake.confirm}::boolean,
            ${handshake.completion ?? null}::text, ${handshake.scopes}::text[],
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
 * exchange included, has its outcome; what one of them holds for the app is destroyed. In the order in which everybody holds several handshakes of one connection.
 */
export async function supersedeHandshakes(transaction: Queryable, connectionId: string): Promise<void> {
  await transaction.query(sql`
    with held as (
      select id from handshakes
       where connection_id = ${connectionId}::uuid and outcome is null
       order by id
         for update
    ), ended as (
      update handshakes set outcome = 'error', outcome_error = 'link_expired', held_until = null
       where id in (select id from held)
      returning id
    )
    ${forgetHeldOf(fragment`select id from ended`)}`)
}

/** Destroys what these handshakes hold for the app. The hash of the completion code stays: who repeats it is told. */
export function forgetHeldOf(handshakeIds: Sql): Sql {
  return fragment`
    update handshake_attempts set secrets = null, key_id = null
     where handshake_id in (${handshakeIds}) and completion_hash is not null and secrets is not null`
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

/** Somebody presents a code right now, or died doing so a moment ago. */
export const isUnderWay = fragment`
  (h.held_until is null and coalesce(h.accepted_at >= now() - ${abandonedAfter}::interval, false))`

// rows of Brokers that are about to be upgraded have no scopes of their own
export const scopesOf = fragment`coalesce(h.scopes, c.scopes)`

export type HandshakeState = {
  readonly handshakeId: string
  readonly connectionId: string
  readonly zone: string
  readonly providerId: string
  readonly confirm: boolean
  readonly returnUrl: string | undefined
  readonly expiresAt: Date
  readonly profileDigest: Buffer
  readonly scopes: readonly string[]
  /** Its deadline has passed, swept or not, a newer link took its place, or it is out of tries. */
  readonly isExpired: boolean
  /** A callback was accepted, be it held for the app, or the connection has no use for one. */
  readonly isOver: boolean
  readonly now: Date
}

const handshakeState = fragment`
    select h.id as "handshakeId", c.id as "connectionId", c.zone as "zone", c.provider_id as "providerId",
           h.profile_digest as "profileDigest", ${scopesOf} as "scopes", h.confirm as "confirm",
           h.return_url as "returnUrl", h.expires_at as "expiresAt",
           (h.expires_at <= now() or h.tries >= ${mostTries}::int or (h.purpose <> 'reconnect' and c.status = 'expired')
             or h.outcome_error is not distinct from 'link_expired') as "isExpired",
           (${isElsewhere} or (h.outcome is not null and h.outcome_error is distinct from 'link_expired')
             or (h.outcome is null and ${isUnderWay})
             or (h.outcome is null and h.held_until is not null)) as "isOver",
           now() as "now"
      from handshakes h
      join connections c on c.id = h.connection_id`

type HandshakeRow = Omit<HandshakeState, 'returnUrl'> & { readonly returnUrl: string | null }

export async function selectHandshakeByTicket(
  database: Queryable,
  ticketHash: Buffer,
): Promise<HandshakeState | undefined> {
  const [row] = await database.query<HandshakeRow>(sql`${handshakeState} where h.ticket_hash = ${ticketHash}::bytea`)
  return row && { ...row, returnUrl: row.returnUrl ?? undefined }
}

/** By the state that came with the link. */
export async function selectHandshakeByRequest(
  database: Queryable,
  requestJtiHash: Buffer,
): Promise<HandshakeState | undefined> {
  const [row] = await database.query<HandshakeRow>(
    sql`${handshakeState} where h.request_jti_hash = ${requestJtiHash}::bytea`,
  )
  return row && { ...row, returnUrl: row.returnUrl ?? undefined }
}

/**
 * Takes one of the tries that a handshake has at the provider: before it, so that of many at once none is one too many.
 * @returns false where none is left
 */
export async function takeTry(database: Queryable, handshakeId: string): Promise<boolean> {
  const rows = await database.query(sql`
    update handshakes set tries = tries + 1
     where id = ${handshakeId}::uuid and tries < ${mostTries}::int and outcome is null and held_until is null
    returning tries`)
  return rows.length > 0
}

/**
 * Holds all handshakes of a connection until the transaction ends; ends those whose code nobody presents right now, and
 * destroys what is held for the app.
 */
export async function endHandshakesOf(transaction: Queryable, connectionId: string): Promise<void> {
  await transaction.query(sql`
    with held as (
      select h.id, h.outcome is null and not ${isUnderWay} as "isIdle"
        from handshakes h where h.connection_id = ${connectionId}::uuid
       order by id
         for update
    ), ended as (
      update handshakes set outcome = 'error', outcome_error = 'already_completed', held_until = null
       where id in (select id from held where "isIdle")
    )
    update handshake_attempts set consumed_at = coalesce(consumed_at, now()), secrets = null, key_id = null
     where id in (
       select id from handshake_attempts
        where handshake_id in (select id from held) and secrets is not null
          for update skip locked)`)
}
