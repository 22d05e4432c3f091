import { completeConnectionBody, connectionCompleted, idParams, noQuery } from '@nexus/contracts'
import type { ZodApp } from '@nexus/service'
import { connectionRoute } from '../http/access.ts'
import { type CompleteConnectionDeps, completeConnection } from './complete-connection.ts'

/** For the servers of apps, which know who their users are: their tokens hold `c`, which nothing else implies. */
export function registerCompletionRoutes(app: ZodApp, deps: CompleteConnectionDeps): void {
  app.post(
    '/connections/:id/complete',
    {
      config: connectionRoute('c'),
      schema: {
        tags: ['handshake'],
        summary: 'Say which user came back, and so complete a connection',
        params: idParams,
        querystring: noQuery,
        body: completeConnectionBody,
        response: { 200: connectionCompleted },
      },
    },
    async ({ params, body, origin }) => completeConnection(deps, { connectionId: params.id, asked: body, origin }),
  )
}
