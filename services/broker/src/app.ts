import {
  type Logger,
  type Metrics,
  type ZodApp,
  buildOpenApi,
  createServer,
  registerHealth,
  registerOpenApi,
  renderMetrics,
} from '@nexus/service'
import { type AgentRouteDeps, registerAgentRoutes } from './agents/routes.ts'
import { registerAuditRoutes } from './audit/routes.ts'
import { type ConnectRouteDeps, registerConnectRoutes } from './connect/routes.ts'
import { type ConnectionRouteDeps, registerConnectionRoutes } from './connections/routes.ts'
import { pageKindOf, translateBrokerError } from './errors.ts'
import { type CaptureRouteDeps, registerCaptureRoutes } from './handshake/capture-routes.ts'
import { registerCompletionRoutes } from './handshake/completion-routes.ts'
import { type HandshakeRouteDeps, registerHandshakeRoutes } from './handshake/routes.ts'
import { type ReadinessDeps, checkReadiness } from './health/readiness.ts'
import { anyKeyRoute } from './http/access.ts'
import { type AuthenticationDeps, type CallerSettings, installAuthentication } from './http/authenticate-caller.ts'
import { installBodyRules } from './http/strict-bodies.ts'
import type { StatusDeps } from './hub/read-status.ts'
import { registerHubRoutes } from './hub/routes.ts'
import { type ProviderRouteDeps, registerProviderRoutes } from './providers/routes.ts'
import { type ZoneRouteDeps, registerZoneRoutes } from './zones/routes.ts'

export type BrokerDeps = AuthenticationDeps &
  AgentRouteDeps &
  ZoneRouteDeps &
  StatusDeps &
  ProviderRouteDeps &
  HandshakeRouteDeps &
  CaptureRouteDeps &
  ConnectRouteDeps &
  ConnectionRouteDeps &
  ReadinessDeps & {
    readonly logger: Logger
    readonly metrics: Metrics
    readonly callers: CallerSettings
  }

/** The Broker's HTTP face: who may call comes first, then the features, each with its own routes. */
export async function buildApp(deps: BrokerDeps): Promise<ZodApp> {
  const { logger, metrics } = deps
  const app = createServer({
    logger,
    metrics,
    errors: { translate: translateBrokerError, pageKindOf, brand: deps.brand },
    connections: { isShared: (address) => deps.callers.trustedProxies.contains(address) },
  })
  installAuthentication(app, deps.callers, deps)
  installBodyRules(app)
  await registerOpenApi(app, {
    title: 'Nexus Broker',
    version: '1',
    description:
      'Internal. Owns provider profiles, handshakes, the token vault and the audit. Only /auth/* meets browsers.',
    securitySchemes: { apiKey: { type: 'apiKey', in: 'header', name: 'X-API-Key' } },
  })

  registerHealth(app, { ready: () => checkReadiness(deps) })
  registerProviderRoutes(app, deps)
  registerHandshakeRoutes(app, deps)
  registerCaptureRoutes(app, deps)
  registerConnectRoutes(app, deps)
  registerCompletionRoutes(app, deps)
  registerConnectionRoutes(app, deps)
  registerAuditRoutes(app, deps.database)
  registerAgentRoutes(app, deps)
  registerZoneRoutes(app, deps)
  registerHubRoutes(app, deps)
  registerOperations(app, metrics)
  return app
}

function registerOperations(app: ZodApp, metrics: Metrics): void {
  app.get(
    '/metrics',
    { config: anyKeyRoute, schema: { tags: ['operations'], summary: 'Prometheus metrics' } },
    async (_request, reply) => {
      const { contentType, text } = await renderMetrics(metrics)
      return reply.type(contentType).send(text)
    },
  )
  app.get(
    '/openapi.json',
    { config: anyKeyRoute, schema: { tags: ['operations'], summary: 'This document' } },
    async (_request, reply) => reply.type('application/json; charset=utf-8').send(buildOpenApi(app)),
  )
}
