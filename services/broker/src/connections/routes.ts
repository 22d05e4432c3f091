import {
  connection,
  connectionList,
  credentialPayload,
  disconnected,
  idParams,
  listConnectionsQuery,
  noQuery,
} from '@nexus/contracts'
import type { ZodApp } from '@nexus/service'
import type { FastifyRequest } from 'fastify'
import { agentRoute, connectionRoute } from '../http/access.ts'
import { type DisconnectDeps, disconnectConnection } from './disconnect-connection.ts'
import { getConnection, listConnections } from './list-connections.ts'
import type { TokenReader } from './read-token.ts'

export type ConnectionRouteDeps = TokenReader & DisconnectDeps

/** The reader outlives no request, but may ask for its agent again. */
function askerOf(request: FastifyRequest) {
  return { origin: request.origin, agent: request.agent, identifyAgain: () => request.identifyAgain() }
}

export function registerConnectionRoutes(app: ZodApp, deps: ConnectionRouteDeps): void {
  app.get(
    '/connections',
    {
      config: agentRoute('r'),
      schema: {
        tags: ['connections'],
        summary: 'Connections, oldest first',
        querystring: listConnectionsQuery,
        response: { 200: connectionList },
      },
    },
    async ({ query, agent }) => listConnections(deps.database, query, agent),
  )
  const one = { params: idParams, querystring: noQuery }
  app.get(
    '/connections/:id',
    {
      config: connectionRoute('r'),
      schema: { tags: ['connections'], summary: 'One connection', ...one, response: { 200: connection } },
    },
    async ({ params }) => getConnection(deps.database, params.id),
  )
  app.get(
    '/connections/:id/token',
    {
      // the reader looks at the zone beside everything else, in one statement for many
      config: agentRoute('r'),
      schema: {
        tags: ['connections'],
        summary: 'The credential, fresh enough to use',
        ...one,
        response: { 200: credentialPayload },
      },
    },
    async (request) => deps.readToken(request.params.id, askerOf(request)),
  )
  app.post(
    '/connections/:id/refresh',
    {
      // its answer is the credential
      config: connectionRoute('r', 'w'),
      schema: {
        tags: ['connections'],
        summary: 'Refresh now, and answer the credential',
        ...one,
        response: { 200: credentialPayload },
      },
    },
    async (request) => deps.readRefreshedToken(request.params.id, askerOf(request)),
  )
  app.delete(
    '/connections/:id',
    {
      config: connectionRoute('w'),
      schema: {
        tags: ['connections'],
        summary: 'Disconnect: forget the secrets, and revoke them at the provider',
        ...one,
        response: { 200: disconnected },
      },
    },
    async ({ params, origin }) => disconnectConnection(deps, params.id, origin),
  )
}
