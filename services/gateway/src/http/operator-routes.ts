import { buildOpenApi, renderMetrics, type Metrics, type ZodApp } from '@nexus/service'

/** For who runs this installation: what the service counts, and what it can be asked. */
export function registerOperatorRoutes(app: ZodApp, metrics: Metrics): void {
  const options = {
    config: { openTo: 'operations' as const },
    schema: { tags: ['operations'], security: [{ operationsKey: [] }] },
  }

  app.get('/metrics', options, async (_request, reply) => {
    const { contentType, text } = await renderMetrics(metrics)
    return reply.type(contentType).send(text)
  })
  app.get('/openapi.json', options, (_request, reply) =>
    reply.type('application/json; charset=utf-8').send(buildOpenApi(app)),
  )
}
