import { z } from 'zod'
import { line, nextCursor, pageQuery, recordId, timestamp } from './primitives.ts'

export const actorKind = z.enum(['agent', 'operator', 'gateway', 'browser', 'system'])

export const auditEvent = z
  .object({
    id: recordId,
    at: timestamp,
    event: z.string(),
    outcome: z.string(),
    zone: z.string().nullable(),
    actor_kind: actorKind,
    actor_id: z.string().nullable(),
    connection_id: recordId.nullable(),
    provider_id: recordId.nullable(),
    token_version: z.int().nullable(),
    address: z.string().nullable(),
    user_agent: z.string().nullable(),
    request_id: z.string().nullable(),
    data: z.record(z.string(), z.unknown()),
  })
  .meta({ id: 'AuditEvent' })

export const listAuditQuery = z.strictObject({
  event_type: line(64).optional(),
  connection_id: recordId.optional(),
  since: z.iso.datetime({ offset: true }).optional(),
  until: z.iso.datetime({ offset: true }).optional(),
  ...pageQuery,
})

export const auditList = z.object({ events: z.array(auditEvent), next_cursor: nextCursor })

export type AuditEventBody = z.infer<typeof auditEvent>
