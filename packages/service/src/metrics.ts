import type { FastifyReply, FastifyRequest } from 'fastify'
import { collectDefaultMetrics, Counter, Histogram, Registry } from 'prom-client'
import type { ZodApp } from './zod-app.ts'

export type Metrics = {
  /** Where the service's own metrics are registered: `new Counter({ …, registers: [metrics.registry] })`. */
  readonly registry: Registry
  readonly requests: Counter<'route' | 'method' | 'status_class'>
  readonly durations: Histogram<'route' | 'method'>
}

const durationBuckets = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30]

/** A registry of its own per service instance, with the process's default metrics and those of its HTTP routes. */
export function createMetrics(service: string): Metrics {
  const registry = new Registry()
  registry.setDefaultLabels({ service })
  collectDefaultMetrics({ register: registry })
  return {
    registry,
    requests: new Counter({
      name: 'nexus_http_requests_total',
      help: 'HTTP requests answered',
      labelNames: ['route', 'method', 'status_class'],
      registers: [registry],
    }),
    durations: new Histogram({
      name: 'nexus_http_request_duration_seconds',
      help: 'Time from the headers of a request to the end of its answer',
      labelNames: ['route', 'method'],
      buckets: durationBuckets,
      registers: [registry],
    }),
  }
}

export function observeRequests(app: ZodApp, metrics: Metrics): void {
  app.addHook('onResponse', async (request, reply) => observeAnswer(metrics, request, reply))
}

/** Counts by the route's pattern, so that no id a caller invents becomes a label (duty L3). */
export function observeAnswer(metrics: Metrics, request: FastifyRequest, reply: FastifyReply): void {
  const route = request.routeOptions.url ?? 'unmatched'
  const method = methodLabel(request.method)
  metrics.requests.inc({ route, method, status_class: `${Math.floor(reply.statusCode / 100)}xx` })
  metrics.durations.observe({ route, method }, reply.elapsedTime / 1000)
}

/** The Prometheus text and its content type, for the service's own guarded `/metrics` route. */
export async function renderMetrics(
  metrics: Metrics,
): Promise<{ readonly contentType: string; readonly text: string }> {
  return { contentType: metrics.registry.contentType, text: await metrics.registry.metrics() }
}

const knownMethods: ReadonlySet<string> = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'])

function methodLabel(method: string): string {
  return knownMethods.has(method) ? method : 'OTHER'
}
