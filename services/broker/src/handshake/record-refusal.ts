import type { AuditEventName, Origin } from '../audit/audit-event.ts'
import { recordEvent } from '../audit/record-event.ts'
import type { Queryable } from '../db/database.ts'

/** What is known of whose handshake it is: of a state that nothing more is known of, the connection it names. */
export type Subject = {
  readonly connectionId: string
  readonly zone?: string
  readonly providerId?: string
}

export type RecordRefusalDeps = { readonly database: Queryable; readonly createId: () => string }

/** The audit knows the reason, whatever little the caller is told. */
export async function recordRefusal(
  { database, createId }: RecordRefusalDeps,
  event: AuditEventName,
  reason: string,
  subject: Subject | undefined,
  origin: Origin,
): Promise<void> {
  const { connectionId, zone, providerId } = subject ?? {}
  await recordEvent(database, createId(), { event, outcome: reason, origin, zone, connectionId, providerId })
}
