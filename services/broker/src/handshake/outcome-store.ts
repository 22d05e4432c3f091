import type { ConnectionStatus } from '@nexus/contracts'
import type { Queryable } from '../db/database.ts'
import { fragment, sql } from '../db/sql.ts'
import type { AcceptedAttempt, AttemptState } from './attempt-store.ts'
import { forgetHeldOf, isElsewhere, isUnderWay } from './store.ts'

/** As it stands for one acceptance. `superseded`: another one took over. `settled`: its grant was turned away. */
export type StandingOutcome =
  | { readonly kind: 'open' | 'success' | 'superseded' | 'settled' }
  | { readonly kind: 'error'; readonly error: string }

/**
 * Holds the handshake until the transaction ends, and with it the open ones beside it: all of them in one order, so that
 * two that end at once do not wait for each other.
 */
export async function lockOutcome(transaction: Queryable, attempt: AcceptedAttempt): Promise<StandingOutcome> {
  const rows = await transaction.query<{
    id: string
    outcome: 'success' | 'error' | null
    error: string | null
    acceptanceId: string | null
  }>(sql`
    select id, outcome, outcome_error as error, acceptance_id as "acceptanceId"
      from handshakes
     where connection_id = ${attempt.connectionId}::uuid and (id = ${attempt.handshakeId}::uuid or outcome is null)
     order by id
       for update`)
  const own = rows.find(({ id }) => id === attempt.handshakeId)
  if (own?.acceptanceId === null) return { kind: 'settled' }
  if (own?.acceptanceId !== attempt.acceptanceId) return { kind: 'superseded' }
  if (own.outcome === 'error') return { kind: 'error', error: own.error ?? 'already_completed' }
  return { kind: own.outcome ?? 'open' }
}

/** The handshake has its grant; whatever else is open for its connection comes too late. */
export async function updateToSuccess(transaction: Queryable, attempt: AttemptState): Promise<void> {
  await transaction.query(sql`
    with ended as (
      update handshakes
         set outcome = case when id = ${attempt.handshakeId}::uuid then 'success' else 'error' end,
             outcome_error = case when id = ${attempt.handshakeId}::uuid then null else 'already_completed' end,
             held_until = null
       where connection_id = ${attempt.connectionId}::uuid and outcome is null
      returning id
    )
    ${forgetHeldOf(fragment`select id from ended`)}`)
}

export async function updateToError(transaction: Queryable, attempt: AttemptState, error: string): Promise<void> {
  await transaction.query(sql`
    update handshakes set outcome = 'error', outcome_error = ${error}::text where id = ${attempt.handshakeId}::uuid`)
}

/** Ends a handshake whose grant was turned away, and its acceptance with it: a repetition finds nothing left to do. */
export async function settleRefusal(transaction: Queryable, attempt: AttemptState, error: string): Promise<void> {
  await transaction.query(sql`
    update handshakes set outcome = 'error', outcome_error = ${error}::text, acceptance_id = null
     where id = ${attempt.handshakeId}::uuid`)
}

export type RecordedOutcome = {
  readonly outcome: 'success' | 'error' | null
  readonly error: string | null
  /** Somebody presents a code now, or died doing so a moment ago. */
  readonly isUnderWay: boolean
  /** What the person brought waits for the app. */
  readonly isHeld: boolean
  /** It waited, and the app did not come in time. */
  readonly isMissed: boolean
  /** Of the connection, as it is written. */
  readonly status: ConnectionStatus
  /** The connection has no use for a grant of this handshake: something else became of it. */
  readonly isElsewhere: boolean
}

export async function selectOutcome(database: Queryable, handshakeId: string): Promise<RecordedOutcome | undefined> {
  const [row] = await database.query<RecordedOutcome>(sql`
    select h.outcome, h.outcome_error as error,
           ${isUnderWay} as "isUnderWay", c.status as "status",
           h.outcome is null and coalesce(h.held_until > now(), false) as "isHeld",
           h.outcome is null and coalesce(h.held_until <= now(), false) as "isMissed",
           ${isElsewhere} as "isElsewhere"
      from handshakes h
      join connections c on c.id = h.connection_id
     where h.id = ${handshakeId}::uuid`)
  return row
}
