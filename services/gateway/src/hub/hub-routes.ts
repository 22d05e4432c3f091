import {
  agentToken,
  agentTokenList,
  createAgentTokenBody,
  createdAgentToken,
  hubStatus,
  keyIdParams,
  listAgentTokensQuery,
  noQuery,
  tokenZoneBody,
  tokenZoneParams,
} from '@nexus/contracts'
import type { ZodApp } from '@nexus/service'
import type { BrokerClient } from '../broker/broker-client.ts'
import { describeCaller } from '../http/caller-facts.ts'
import { describeRoute, forAgents } from '../rest/describe-route.ts'
import * as hub from './hub-operations.ts'
import { registerZoneRoutes } from './zone-routes.ts'

/**
 * For whoever manages tokens and zones from afar, `nexus hub --remote` among them: the Broker's routes under the agent's own
 * token. Whose tokens it sees and what it may give away is the Broker's to say.
 */
export async function registerHubRoutes(app: ZodApp, broker: BrokerClient): Promise<void> {
  app.setSerializerCompiler(() => JSON.stringify)
  registerTokenRoutes(app, broker)
  registerTokenZoneRoutes(app, broker)
  registerZoneRoutes(app, broker)
  app.get(
    '/v1/hub/status',
    {
      config: forAgents('hub_status'),
      schema: { ...describeRoute('See how the installation is', { 200: hubStatus }, 'hub'), querystring: noQuery },
    },
    (request) => hub.readStatus(broker, describeCaller(request)),
  )
}

function registerTokenRoutes(app: ZodApp, broker: BrokerClient): void {
  app.post(
    '/v1/hub/tokens',
    {
      config: forAgents('hub_create_token'),
      schema: {
        ...describeRoute('Mint a token, which is shown this once', { 201: createdAgentToken }, 'hub'),
        querystring: noQuery,
        body: createAgentTokenBody,
      },
    },
    async (request, reply) => {
      const created = await hub.createToken(broker, request.body, describeCaller(request))
      return reply.code(201).send(created)
    },
  )
  app.get(
    '/v1/hub/tokens',
    {
      config: forAgents('hub_list_tokens'),
      schema: { ...describeRoute('List tokens', { 200: agentTokenList }, 'hub'), querystring: listAgentTokensQuery },
    },
    (request) => hub.listTokens(broker, request.query, describeCaller(request)),
  )
  const byKeyId = { params: keyIdParams, querystring: noQuery }
  app.get(
    '/v1/hub/tokens/:key_id',
    {
      config: forAgents('hub_get_token'),
      schema: { ...describeRoute('Read about a token', { 200: agentToken }, 'hub'), ...byKeyId },
    },
    (request) => hub.getToken(broker, request.params.key_id, describeCaller(request)),
  )
  app.delete(
    '/v1/hub/tokens/:key_id',
    {
      config: forAgents('hub_revoke_token'),
      schema: { ...describeRoute('Revoke a token for good', { 200: agentToken }, 'hub'), ...byKeyId },
    },
    (request) => hub.revokeToken(broker, request.params.key_id, describeCaller(request)),
  )
}

function registerTokenZoneRoutes(app: ZodApp, broker: BrokerClient): void {
  const byZone = { params: tokenZoneParams, querystring: noQuery }
  app.put(
    '/v1/hub/tokens/:key_id/zones/:zone',
    {
      config: forAgents('hub_set_token_zone'),
      schema: {
        ...describeRoute('Give a token a zone, or other permissions in it', { 200: agentToken }, 'hub'),
        ...byZone,
        body: tokenZoneBody,
      },
    },
    (request) => hub.setTokenZone(broker, { ...request.params, ...request.body }, describeCaller(request)),
  )
  app.delete(
    '/v1/hub/tokens/:key_id/zones/:zone',
    {
      config: forAgents('hub_remove_token_zone'),
      schema: { ...describeRoute('Take a zone from a token', { 200: agentToken }, 'hub'), ...byZone },
    },
    (request) => hub.removeTokenZone(broker, request.params, describeCaller(request)),
  )
}
