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
  zoneName,
} from '@nexus/contracts'
import type { ZodApp } from '@nexus/service'
import { z } from 'zod'
import type { BrokerClient } from '../broker/broker-client.ts'
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
import { describeRoute, forAgents } from './describe-route.ts'

const requestHeaders = z.looseObject({
  'idempotency-key': idempotencyKey.optional().describe('The same key gives the same connection, for 24 hours'),
})
const zonedHeaders = requestHeaders.extend({
  'x-nexus-zone-id': zoneName.optional().describe('Where to create it, like `zone` in the body'),
})

/** The operations as REST. Answers were parsed against their schema as they came from the Broker. */
export async function registerRestRoutes(app: ZodApp, deps: RequestConnectionDeps): Promise<void> {
  const { broker } = deps
  app.setSerializerCompiler(() => JSON.stringify)

  app.get(
    '/v1/providers',
    {
      config: forAgents('list_providers'),
      schema: { ...describeRoute('List providers', { 200: providerList }), querystring: noQuery },
    },
    (request) => listProviders(broker, describeCaller(request)),
  )
  app.get(
    '/v1/providers/metadata',
    {
      config: forAgents('describe_providers'),
      schema: { ...describeRoute('Describe providers', { 200: providerMetadata }), querystring: noQuery },
    },
    (request) => readProviderMetadata(broker, describeCaller(request)),
  )
  app.post(
    '/v1/request-connection',
    {
      config: forAgents('request_connection'),
      bodyLimit: connectionRequestLimit,
      schema: {
        ...describeRoute('Ask for a link that connects an account', { 200: connectionRequested }),
        headers: zonedHeaders,
        querystring: noQuery,
        body: requestConnectionBody,
      },
    },
    (request) => requestConnection(deps, request.body, request.headers['idempotency-key'], describeCaller(request)),
  )
  app.get(
    '/v1/connections',
    {
      config: forAgents('list_connections'),
      schema: {
        ...describeRoute('List connections', { 200: connectionList }),
        querystring: listAgentConnectionsQuery,
      },
    },
    (request) => listConnections(broker, request.query, describeCaller(request)),
  )
  registerRoutesById(app, broker)
  registerReconnect(app, deps)
}

function registerRoutesById(app: ZodApp, broker: BrokerClient): void {
  const byId = { params: idParams, querystring: noQuery }
  app.get(
    '/v1/check-connection/:id',
    {
      config: forAgents('check_connection'),
      schema: { ...describeRoute('See how far a connection is', { 200: checkedConnection }), ...byId },
    },
    (request) => checkConnection(broker, request.params.id, describeCaller(request)),
  )
  app.get(
    '/v1/connections/:id',
    {
      config: forAgents('get_connection'),
      schema: { ...describeRoute('Read a connection', { 200: connection }), ...byId },
    },
    (request) => getConnection(broker, request.params.id, describeCaller(request)),
  )
  app.delete(
    '/v1/connections/:id',
    {
      config: forAgents('disconnect'),
      schema: { ...describeRoute('Disconnect an account', { 200: disconnected }), ...byId },
    },
    (request) => disconnectConnection(broker, request.params.id, describeCaller(request)),
  )
  app.get(
    '/v1/token/:id',
    {
      config: forAgents('get_token'),
      schema: { ...describeRoute('Fetch the credential', { 200: credentialPayload }), ...byId },
    },
    (request) => getToken(broker, request.params.id, describeCaller(request)),
  )
  app.post(
    '/v1/refresh/:id',
    {
      config: forAgents('refresh'),
      schema: { ...describeRoute('Refresh the credential', { 200: credentialPayload }), ...byId },
    },
    (request) => refreshConnection(broker, request.params.id, describeCaller(request)),
  )
}

function registerReconnect(app: ZodApp, deps: RequestConnectionDeps): void {
  app.post(
    '/v1/reconnect/:id',
    {
      config: forAgents('reconnect'),
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
