import type { Queryable } from '../db/database.ts'
import type { AuditEvent } from './audit-event.ts'
import { insertAuditEvent } from './store.ts'

/**
 * Records what happened. Given the transaction of what it tells of, neither exists without the other.
 * @param id - made by the caller, UUIDv7
 */
export function recordEvent(database: Queryable, id: string, event: AuditEvent): Promise<void> {
  return insertAuditEvent(database, id, event)
}
