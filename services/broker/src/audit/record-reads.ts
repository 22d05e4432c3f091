import { AppError, isAppError } from '@nexus/service'
import type { Database } from '../db/database.ts'
import { isBadData } from '../db/database-errors.ts'
import { prepared, sql } from '../db/sql.ts'
import { type Origin, cleanText } from './audit-event.ts'

/** One attempt to read a credential, as it is about to be answered. */
export type ReadRecord = {
  /** Made beforehand, so that a repetition after a lost acknowledgement is the same row. */
  readonly id: string
  readonly connectionId: string
  readonly providerId: string | null
  readonly zone: string | null
  readonly tokenVersion: number | null
  /** `success`, or the code of the refusal. */
  readonly outcome: string
  readonly origin: Origin
}

/** `recorded` with the outcome that now stands; a success whose connection moved on meanwhile stands as `superseded`. */
export type ReadVerdict =
  | { readonly kind: 'recorded'; readonly outcome: string }
  | { readonly kind: 'unrecorded'; readonly error: AppError }

export const supersededOutcome = 'superseded'

/**
 * Writes the records of a batch of reads in one statement, which looks once more whether each connection is still
 * active with the version that was opened: what is released was true when its record became durable (A1).
 *
 * A record that PostgreSQL refuses for its content is found by halving the batch, and fails alone.
 * @param at database time of the lookup: with the ids it makes a repetition idempotent.
 * @throws AppError `unavailable` whatever the database complains of: nothing of the batch may be released.
 */
export async function recordReads(
  database: Database,
  at: string,
  records: readonly ReadRecord[],
): Promise<ReadonlyMap<string, ReadVerdict>> {
  try {
    return await insertReads(database, at, records)
  } catch (error) {
    if (!isBadData(error)) throw isAppError(error) ? error : unrecorded(error)
    const [only, ...others] = records
    if (only === undefined) return new Map()
    if (others.length === 0) return new Map([[only.id, { kind: 'unrecorded', error: unrecorded(error) }]])
    const middle = records.length >> 1
    const first = await recordReads(database, at, records.slice(0, middle))
    const second = await recordReads(database, at, records.slice(middle))
    return new Map([...first, ...second])
  }
}

/** No record, no secret, and 503 whatever the reason: a missing privilege, a full disk, a row that cannot be stored (A1). */
function unrecorded(cause: unknown): AppError {
  return new AppError('unavailable', 'This read cannot be recorded right now; try again shortly.', {
    cause,
    retryAfterSeconds: 5,
  })
}

async function insertReads(
  database: Database,
  at: string,
  records: readonly ReadRecord[],
): Promise<ReadonlyMap<string, ReadVerdict>> {
  const column = <T>(pick: (record: ReadRecord) => T): T[] => records.map(pick)
  const statement = sql`
    with asked as materialized (
      select *
        from unnest(
          ${column((r) => r.id)}::uuid[], ${column((r) => r.outcome)}::text[], ${column((r) => r.zone)}::text[],
          ${column((r) => r.origin.actorKind)}::text[], ${column((r) => cleanText(r.origin.actorId))}::text[],
          ${column((r) => r.connectionId)}::uuid[], ${column((r) => r.providerId)}::uuid[],
          ${column((r) => r.tokenVersion)}::int[], ${column((r) => cleanText(r.origin.address))}::text[],
          ${column((r) => cleanText(r.origin.userAgent))}::text[], ${column((r) => cleanText(r.origin.requestId))}::text[]
        ) as r (id, outcome, zone, actor_kind, actor_id, connection_id, provider_id, token_version, address, user_agent, request_id)
    ), judged as materialized (
      select asked.*,
             case when asked.outcome <> 'success'
                    -- a scalar subquery is looked up row by row; an exists may be answered by reading all connections
                    or (select c.status = 'active' and t.version = asked.token_version
                          from connections c
                          join tokens t on t.connection_id = c.id
                         where c.id = asked.connection_id)
                  then asked.outcome
                  else ${supersededOutcome}::text
             end as verdict
        from asked
    ), written as (
      insert into audit_reads (id, at, event, outcome, zone, actor_kind, actor_id, connection_id, provider_id,
                               token_version, address, user_agent, request_id)
      select id, ${at}::timestamptz,
             case when verdict = 'success' then 'token_retrieved'
                  -- it is there, and not for whoever asked
                  when verdict = 'insufficient_permission' or (verdict = 'connection_not_found' and zone is not null)
                    then 'access.denied'
                  else 'token_retrieval_failed'
             end,
             verdict, zone, actor_kind, actor_id, connection_id, provider_id, token_version, address, user_agent, request_id
        from judged
      on conflict do nothing
    )
    select id, verdict from judged`
  const rows = await database.query<{ id: string; verdict: string }>(prepared('record-reads', statement))
  return new Map(rows.map(({ id, verdict }) => [id, { kind: 'recorded', outcome: verdict }]))
}
