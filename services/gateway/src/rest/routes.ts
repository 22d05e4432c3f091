import {
  checkedConnection,
  connection,
  connectionList,
  connectionRequested,
  connectionRequestLimit,
  credentialPayload,
  disconnected,
  idempotencyKey,
  idParams,
  listAgentConnectionsQuery,
  noQuery,
  providerList,
  providerMetadata,
  reconnectBody,
  requestConnectionBody,
} from '@nexus/contracts'
import type { ZodApp } from '@nexus/service'
import { z } from 'zod'
import { describeCaller } from '../http/caller-facts.ts'
import { checkConnection } from '../operations/check-connection.ts'
import { disconnectConnection } from '../operations/disconnect-connection.ts'
import { getConnection } from '../operations/get-connection.ts'
import { getToken } from '../operations/get-token.ts'
import { listConnections } from '../operations/list-connections.ts'
import { listProviders } from '../operations/list-providers.ts'
import { readProviderMetadata } from '../operations/provider-metadata.ts'
import { reconnectConnection } from '../operations/reconnect-connection.ts'
import { refreshConnection } from '../operations/refresh-connection.ts'
import { requestConnection, type RequestConnectionDeps } from '../operations/request-connection.ts'
import { describeRoute } from './describe-route.ts'

const requestHeaders = z.looseObject({
  'idempotency-key': idempotencyKey.optional().describe('The same key gives the same connection, for 24 hours'),
})

/** The operations as REST. Answers were parsed against their schema as they came from the Broker. */
export async function registerRestRoutes(app: ZodApp, deps: RequestConnectionDeps): Promise<void> {
  const { broker } = deps
  const config = { openTo: 'agents' } as const
  app.setSerializerCompiler(() => JSON.stringify)

  app.get(
    '/v1/providers',
    { config, schema: { ...describeRoute('List providers', { 200: providerList }), querystring: noQuery } },
    (request) => listProviders(broker, describeCaller(request)),
  )
  app.get(
    '/v1/providers/metadata',
    { config, schema: { ...describeRoute('Describe providers', { 200: providerMetadata }), querystring: noQuery } },
    (request) => readProviderMetadata(broker, describeCaller(request)),
  )
  app.post(
    '/v1/request-connection',
    {
      config,
      bodyLimit: connectionRequestLimit,
      schema: {
        ...describeRoute('Ask for a link that connects an account', { 200: connectionRequested }),
        headers: requestHeaders,
        querystring: noQuery,
        body: requestConnectionBody,
      },
    },
    (request) => requestConnection(deps, request.body, request.headers['idempotency-key'], describeCaller(request)),
  )
  app.get(
    '/v1/connections',
    {
      config,
      schema: {
        ...describeRoute('List connections', { 200: connectionList }),
        querystring: listAgentConnectionsQuery,
      },
    },
    (request) => listConnections(broker, request.query, describeCaller(request)),
  )

  const byId = { params: idParams, querystring: noQuery }
  app.get(
    '/v1/check-connection/:id',
    { config, schema: { ...describeRoute('See how far a connection is', { 200: checkedConnection }), ...byId } },
    (request) => checkConnection(broker, request.params.id, describeCaller(request)),
  )
  app.get(
    '/v1/connections/:id',
    { config, schema: { ...describeRoute('Read a connection', { 200: connection }), ...byId } },
    (request) => getConnection(broker, request.params.id, describeCaller(request)),
  )
  app.delete(
    '/v1/connections/:id',
    { config, schema: { ...describeRoute('Disconnect an account', { 200: disconnected }), ...byId } },
    (request) => disconnectConnection(broker, request.params.id, describeCaller(request)),
  )
  app.get(
    '/v1/token/:id',
    { config, schema: { ...describeRoute('Fetch the credential', { 200: credentialPayload }), ...byId } },
    (request) => getToken(broker, request.params.id, describeCaller(request)),
  )
  app.post(
    '/v1/refresh/:id',
    { config, schema: { ...describeRoute('Refresh the credential', { 200: credentialPayload }), ...byId } },
    (request) => refreshConnection(broker, request.params.id, describeCaller(request)),
  )
  registerReconnect(app, deps)
}

function registerReconnect(app: ZodApp, deps: RequestConnectionDeps): void {
  app.post(
    '/v1/reconnect/:id',
    {
      config: { openTo: 'agents' },
      bodyLimit: connectionRequestLimit,
      schema: {
        ...describeRoute('Ask for a link that renews a connection', { 200: connectionRequested }),
        headers: requestHeaders,
        params: idParams,
        querystring: noQuery,
        body: reconnectBody,
      },
    },
    (request) => {
      const { params, body, headers } = request
      return reconnectConnection(deps, params.id, body, headers['idempotency-key'], describeCaller(request))
    },
  )
}
