import type { AuditEventBody } from '@nexus/contracts'
import type { Client } from './harness.ts'

/** The latest events of one kind, or of all; newest first. */
export async function auditEvents(broker: Client, event: string | undefined): Promise<readonly AuditEventBody[]> {
  const filter = event === undefined ? '' : `&event_type=${event}`
  const { body } = await broker.get<{ events: AuditEventBody[] }>(`/audit?limit=200${filter}`)
  return body.events
}
