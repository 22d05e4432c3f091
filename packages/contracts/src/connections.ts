import { z } from 'zod'
import { line, nextCursor, pageQuery, recordId, timestamp, zoneName } from './primitives.ts'

/** The states of a connection; data.md draws the transitions. */
export const connectionStatus = z.enum(['pending', 'active', 'attention_required', 'failed', 'expired', 'revoked'])

export const connection = z
  .object({
    id: recordId,
    zone: zoneName,
    workspace_id: z.string(),
    provider: z.string(),
    status: connectionStatus,
    status_reason: z.string().nullable(),
    scopes: z.array(z.string()).describe('As asked'),
    granted_scopes: z.array(z.string()).nullable().describe('As granted'),
    account: z
      .object({ issuer: z.string(), subject: z.string(), label: z.string().nullable() })
      .nullable()
      .describe('Who signed in, where the provider says so'),
    created_at: timestamp,
    updated_at: timestamp,
    last_used_at: timestamp.nullable(),
    token_expires_at: timestamp.nullable(),
    last_refresh_at: timestamp.nullable(),
    metadata: z.record(z.string(), z.unknown()),
  })
  .meta({ id: 'Connection' })

const listFilters = {
  provider: line(64).optional().describe('Name of the profile'),
  status: connectionStatus.optional(),
  zone: zoneName.optional(),
  ...pageQuery,
}

/** `GET /connections` on the Broker. */
export const listConnectionsQuery = z.strictObject({ workspace_id: line(256).optional(), ...listFilters })

/** `GET /v1/connections` on the Gateway. */
export const listAgentConnectionsQuery = z.strictObject({ user_id: line(256).optional(), ...listFilters })

export const connectionList = z.object({ connections: z.array(connection), next_cursor: nextCursor })

export const checkedConnection = z.object({ status: connectionStatus, status_reason: z.string().nullable() })

/** What `DELETE` of a connection answers, however often it is called. */
export const disconnected = z
  .object({
    revoked_at_provider: z.boolean().describe('The provider has confirmed that the grant is over'),
    revocation: z
      .enum(['done', 'queued', 'unsupported'])
      .describe(
        'done: nothing is owed any more; queued: the provider could not be asked yet, and will be, for a day; ' +
          'unsupported: the provider cannot revoke, or refuses to, so what it granted may live on there',
      ),
  })
  .meta({ id: 'Disconnected' })

export const idParams = z.strictObject({ id: recordId })

export type Connection = z.infer<typeof connection>
export type Disconnected = z.infer<typeof disconnected>
export type ConnectionStatus = z.infer<typeof connectionStatus>
