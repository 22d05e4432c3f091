import { auditList, listAuditQuery } from '@nexus/contracts'
import type { ZodApp } from '@nexus/service'
import type { Database } from '../db/database.ts'
import { operatorRoute } from '../http/access.ts'
import { listEvents } from './list-events.ts'

export function registerAuditRoutes(app: ZodApp, database: Database): void {
  app.get(
    '/audit',
    {
      config: operatorRoute,
      schema: {
        tags: ['audit'],
        summary: 'What happened, newest first',
        querystring: listAuditQuery,
        response: { 200: auditList },
      },
    },
    async ({ query }) => listEvents(database, query),
  )
}
