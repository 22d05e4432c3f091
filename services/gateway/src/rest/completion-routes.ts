import { completeAgentConnectionBody, connectionCompleted, errorBody, noQuery } from '@nexus/contracts'
import type { ZodApp } from '@nexus/service'
import type { BrokerClient } from '../broker/broker-client.ts'
import { readCallerKey } from '../http/authenticate-caller.ts'
import { describeCaller } from '../http/caller-facts.ts'
import { completeConnection } from '../operations/complete-connection.ts'

/** What the servers of apps call, and no agent. */
export async function registerCompletionRoutes(app: ZodApp, broker: BrokerClient): Promise<void> {
  app.post(
    '/v1/complete-connection',
    {
      config: { openTo: 'apps' },
      schema: {
        summary: 'Say which user came back, and so complete a connection',
        tags: ['apps'],
        security: [{ appKey: [] }],
        querystring: noQuery,
        body: completeAgentConnectionBody,
        response: { 200: connectionCompleted, default: errorBody },
      },
    },
    (request) => completeConnection(broker, request.body, readCallerKey(request), describeCaller(request)),
  )
}
