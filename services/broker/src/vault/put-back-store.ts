import type { Queryable } from '../db/database.ts'
import { fragment, sql } from '../db/sql.ts'

/** A month of the events or a day of the reads: what one partition holds. */
export type AuditSpan = { readonly table: 'audit_events' | 'audit_reads'; readonly from: Date; readonly to: Date }

/** Everything that the audit still has, oldest first. */
export async function selectAuditSpans(database: Queryable): Promise<readonly AuditSpan[]> {
  return database.query<AuditSpan>(sql`
    select 'audit_events' as "table", month as "from", month + interval '1 month' as "to"
      from generate_series((select date_trunc('month', min(at)) from audit_events), now(), interval '1 month') as month
    union all
    select 'audit_reads', day, day + interval '1 day'
      from generate_series((select date_trunc('day', min(at)) from audit_reads), now(), interval '1 day') as day
    order by "table", "from"`)
}

export type PutBack = { readonly id: string; readonly version: number; readonly highest: number }

const tables = { audit_events: fragment`audit_events`, audit_reads: fragment`audit_reads` }

/**
 * Tokens of which the audit tells a later version than the row has. Versions only grow, and a version is recorded by
 * the statement or the transaction that saw it: such a row was put back from an older copy.
 */
export async function selectPutBack(database: Queryable, span: AuditSpan, limit: number): Promise<readonly PutBack[]> {
  return database.query<PutBack>(sql`
    select t.connection_id as id, t.version as version, max(a.token_version) as highest
      from ${tables[span.table]} a
      join tokens t on t.connection_id = a.connection_id
     where a.at >= ${span.from}::timestamptz and a.at < ${span.to}::timestamptz and a.token_version > t.version
     group by t.connection_id, t.version
     order by t.connection_id
     limit ${limit}::int`)
}
