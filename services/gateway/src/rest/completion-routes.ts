import { completeAgentConnectionBody, connectionCompleted, noQuery } from '@nexus/contracts'
import type { ZodApp } from '@nexus/service'
import type { BrokerClient } from '../broker/broker-client.ts'
import { describeCaller } from '../http/caller-facts.ts'
import { completeConnection } from '../operations/complete-connection.ts'
import { describeRoute, forAgents } from './describe-route.ts'

/** What the servers of apps call, with a token that holds `c`. */
export async function registerCompletionRoutes(app: ZodApp, broker: BrokerClient): Promise<void> {
  app.setSerializerCompiler(() => JSON.stringify)
  app.post(
    '/v1/complete-connection',
    {
      config: forAgents('complete_connection'),
      schema: {
        ...describeRoute('Say which user came back, and so complete a connection', { 200: connectionCompleted }),
        querystring: noQuery,
        body: completeAgentConnectionBody,
      },
    },
    (request) => completeConnection(broker, request.body, describeCaller(request)),
  )
}
