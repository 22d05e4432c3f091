import type { Queryable } from '../db/database.ts'
import { fragment, sql } from '../db/sql.ts'
import { type AuditEvent, type AuditEventName, cleanText } from './audit-event.ts'

/** Appends one event. Inside the transaction of what it tells of, so that neither exists without the other. */
export async function insertAuditEvent(database: Queryable, id: string, event: AuditEvent): Promise<void> {
  const { origin } = event
  await database.query(sql`
    insert into audit_events (id, at, event, outcome, zone, actor_kind, actor_id, connection_id, provider_id,
                              token_version, address, user_agent, request_id, data)
    values (${id}::uuid, now(), ${event.event}::text, ${cleanText(event.outcome)}::text, ${event.zone ?? null}::text,
            ${origin.actorKind}::text, ${cleanText(origin.actorId)}::text, ${event.connectionId ?? null}::uuid,
            ${event.providerId ?? null}::uuid, ${event.tokenVersion ?? null}::int, ${cleanText(origin.address)}::text,
            ${cleanText(origin.userAgent)}::text, ${cleanText(origin.requestId)}::text,
            ${JSON.stringify(event.data ?? {})}::jsonb)`)
}

export type AuditRow = {
  readonly id: string
  readonly at: Date
  /** `at` to the microsecond, for the cursor: a Date would round it. */
  readonly position: string
  readonly event: string
  readonly outcome: string
  readonly zone: string | null
  readonly actor_kind: 'agent' | 'operator' | 'gateway' | 'browser' | 'system'
  readonly actor_id: string | null
  readonly connection_id: string | null
  readonly provider_id: string | null
  readonly token_version: number | null
  readonly address: string | null
  readonly user_agent: string | null
  readonly request_id: string | null
  readonly data: Record<string, unknown>
}

export type AuditFilter = {
  readonly event: string | undefined
  readonly connectionId: string | undefined
  readonly since: string | undefined
  readonly until: string | undefined
  readonly before: { readonly position: string; readonly id: string } | undefined
  readonly limit: number
}

/** One page of both audit tables, newest first. */
export async function selectAuditEvents(database: Queryable, filter: AuditFilter): Promise<readonly AuditRow[]> {
  const columns = fragment`id, at, at::text as position, event, outcome, zone, actor_kind, actor_id, connection_id, provider_id,
    token_version, address, user_agent, request_id, data`
  const condition = fragment`
        (${filter.event ?? null}::text is null or event = ${filter.event ?? null}::text)
    and (${filter.connectionId ?? null}::uuid is null or connection_id = ${filter.connectionId ?? null}::uuid)
    and (${filter.since ?? null}::timestamptz is null or at >= ${filter.since ?? null}::timestamptz)
    and (${filter.until ?? null}::timestamptz is null or at < ${filter.until ?? null}::timestamptz)
    and (${filter.before?.position ?? null}::timestamptz is null
         or (at, id) < (${filter.before?.position ?? null}::timestamptz, ${filter.before?.id ?? null}::uuid))`
  return database.query<AuditRow>(sql`
    (select ${columns} from audit_events where ${condition} order by at desc, id desc limit ${filter.limit}::int)
    union all
    (select ${columns} from audit_reads where ${condition} order by at desc, id desc limit ${filter.limit}::int)
    order by at desc, id desc
    limit ${filter.limit}::int`)
}

/** What happened to a connection since a moment (the database's text of it), of the events named; oldest first. */
export async function selectEventsSince(
  database: Queryable,
  connectionId: string,
  since: string,
  events: readonly AuditEventName[],
): Promise<readonly Pick<AuditRow, 'event' | 'data'>[]> {
  return database.query<Pick<AuditRow, 'event' | 'data'>>(sql`
    select event, data from audit_events
     where connection_id = ${connectionId}::uuid and at >= ${since}::timestamptz and event = any (${events}::text[])
     order by at, id`)
}

export async function countReadsSince(
  database: Queryable,
  minutes: number,
  zones: readonly string[] | undefined,
): Promise<number> {
  const [row] = await database.query<{ count: number }>(sql`
    select count(*)::float8 as count
      from audit_reads
     where at > now() - make_interval(mins => ${minutes}::int)
       and (${zones ?? null}::text[] is null or zone = any (${zones ?? null}::text[]))`)
  return row?.count ?? 0
}
