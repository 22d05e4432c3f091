import type { AuditEventBody } from '@nexus/contracts'
import type { Queryable } from '../db/database.ts'
import { invalidField } from '@nexus/service'
import { decodeCursor, toPage } from '../http/cursor.ts'
import type { AuditEventName } from './audit-event.ts'
import { countReadsSince, selectAuditEvents, selectEventsSince } from './store.ts'

export type AuditQuery = {
  readonly event_type?: string | undefined
  readonly connection_id?: string | undefined
  readonly since?: string | undefined
  readonly until?: string | undefined
  readonly cursor?: string | undefined
  readonly limit: number
}

/** One page of what happened, newest first. @throws AppError `invalid_request` for a foreign cursor */
export async function listEvents(database: Queryable, query: AuditQuery) {
  const rows = await selectAuditEvents(database, {
    event: query.event_type,
    connectionId: query.connection_id,
    since: toMoment('since', query.since),
    until: toMoment('until', query.until),
    before: decodeCursor('audit', query.cursor),
    limit: query.limit + 1,
  })
  const { page, nextCursor } = toPage('audit', rows, query.limit, ({ id, position }) => ({ id, position }))
  const events = page.map(({ at, position: _, ...row }): AuditEventBody => ({ ...row, at: at.toISOString() }))
  return { events, next_cursor: nextCursor }
}

/** A recorded event, with the facts in it. */
export type Recorded = { readonly event: string; readonly data: Readonly<Record<string, unknown>> }

/**
 * What the audit tells of a connection since a moment, of the events named; oldest first. It may have forgotten some.
 * @param since - the database's text of the moment, to the microsecond.
 */
export function findEventsSince(
  database: Queryable,
  connectionId: string,
  since: string,
  events: readonly AuditEventName[],
): Promise<readonly Recorded[]> {
  return selectEventsSince(database, connectionId, since, events)
}

/** Reads of credentials in the last minutes, refused ones too; of these zones, or of all. */
export function countRecentReads(
  database: Queryable,
  minutes: number,
  zones: readonly string[] | undefined,
): Promise<number> {
  return countReadsSince(database, minutes, zones)
}

/** RFC 3339 allows offsets and a year that PostgreSQL does not know; in UTC only the year is left to check. */
function toMoment(field: string, text: string | undefined): string | undefined {
  if (text === undefined) return undefined
  const at = new Date(text)
  if (at.getUTCFullYear() >= 1 && at.getUTCFullYear() <= 9999) return at.toISOString()
  throw invalidField(field, 'is not a time this service knows')
}
