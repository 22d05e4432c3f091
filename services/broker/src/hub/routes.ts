import { hubStatus, noQuery } from '@nexus/contracts'
import type { ZodApp } from '@nexus/service'
import { readManager } from '../agents/routes.ts'
import { hubRoute } from '../http/access.ts'
import { type StatusDeps, readStatus } from './read-status.ts'

export function registerHubRoutes(app: ZodApp, deps: StatusDeps): void {
  app.get(
    '/hub/status',
    {
      config: hubRoute,
      schema: {
        tags: ['operations'],
        summary: 'How this installation is, or what of it the caller manages, in a few numbers',
        querystring: noQuery,
        response: { 200: hubStatus },
      },
    },
    async (request) => readStatus(deps, readManager(request)),
  )
}
