import type { Connection as ConnectionBody, ConnectionStatus } from '@nexus/contracts'
import type { Queryable } from '../db/database.ts'
import { type Agent, zonesWith } from '../agents/agent.ts'
import { decodeCursor, toPage } from '../http/cursor.ts'
import type { Connection } from './connection.ts'
import { connectionNotFound } from './guard-connection.ts'
import { selectConnection, selectConnections } from './store.ts'

export type ConnectionQuery = {
  readonly workspace_id?: string | undefined
  readonly provider?: string | undefined
  readonly status?: ConnectionStatus | undefined
  readonly zone?: string | undefined
  readonly cursor?: string | undefined
  readonly limit: number
}

/** One page, oldest first, of the zones that the agent may read. @throws AppError `invalid_request` for a foreign cursor */
export async function listConnections(database: Queryable, query: ConnectionQuery, agent: Agent) {
  const rows = await selectConnections(database, {
    workspaceId: query.workspace_id,
    provider: query.provider,
    status: query.status,
    zone: query.zone,
    zones: zonesWith(agent, ['r']),
    after: decodeCursor('connections', query.cursor),
    limit: query.limit + 1,
  })
  const { page, nextCursor } = toPage('connections', rows, query.limit, ({ connection, position }) => ({
    id: connection.id,
    position,
  }))
  return { connections: page.map(({ connection }) => toConnectionBody(connection)), next_cursor: nextCursor }
}

/** @throws AppError `connection_not_found` */
export async function getConnection(database: Queryable, id: string): Promise<ConnectionBody> {
  const connection = await selectConnection(database, id)
  if (connection === undefined) throw connectionNotFound()
  return toConnectionBody(connection)
}

function toConnectionBody(connection: Connection): ConnectionBody {
  const { account } = connection
  return {
    id: connection.id,
    zone: connection.zone,
    workspace_id: connection.workspaceId,
    provider: connection.providerName,
    status: connection.status,
    status_reason: connection.statusReason ?? null,
    scopes: [...connection.scopes],
    granted_scopes: connection.grantedScopes === undefined ? null : [...connection.grantedScopes],
    account: account === undefined ? null : { ...account, label: account.label ?? null },
    created_at: connection.createdAt.toISOString(),
    updated_at: connection.updatedAt.toISOString(),
    last_used_at: connection.lastUsedAt?.toISOString() ?? null,
    token_expires_at: connection.tokenExpiresAt?.toISOString() ?? null,
    last_refresh_at: connection.lastRefreshAt?.toISOString() ?? null,
    metadata: { ...connection.metadata },
  }
}
