import type { AuditEventBody } from '@nexus/contracts'
import type { Queryable } from '../db/database.ts'
import { decodeCursor, toPage } from '../http/cursor.ts'
import { selectAuditEvents } from './store.ts'

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
    since: query.since,
    until: query.until,
    before: decodeCursor(query.cursor),
    limit: query.limit + 1,
  })
  const { page, nextCursor } = toPage(rows, query.limit, ({ id, position }) => ({ id, position }))
  const events = page.map(({ at, position: _, ...row }): AuditEventBody => ({ ...row, at: at.toISOString() }))
  return { events, next_cursor: nextCursor }
}
