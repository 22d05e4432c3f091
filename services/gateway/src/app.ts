import type { StateSigner } from '@nexus/crypto'
import {
  createRateLimiter,
  createServer,
  registerHealth,
  registerOpenApi,
  type Logger,
  type Metrics,
  type RedisHandle,
  type ZodApp,
} from '@nexus/service'
import type { FastifyRequest } from 'fastify'
import { admitAgent } from './agents/admit-agent.ts'
import { createAgentLimits } from './agents/agent-limits.ts'
import { createAgentMetrics } from './agents/agent-metrics.ts'
import { createAuditChannel } from './agents/audit-channel.ts'
import { createKnownAgents } from './agents/known-agents.ts'
import { installRequestRecords } from './agents/record-requests.ts'
import type { BrokerClient } from './broker/broker-client.ts'
import type { GatewayConfig } from './config.ts'
import { rememberReadiness } from './health/broker-readiness.ts'
import { installAuthentication } from './http/authenticate-caller.ts'
import { installHostCheck } from './http/host-check.ts'
import { installClientAddress } from './http/caller-facts.ts'
import { limitByAddress } from './http/limit-by-address.ts'
import { registerOperatorRoutes } from './http/operator-routes.ts'
import { registerHubRoutes } from './hub/hub-routes.ts'
import { openApiInfo } from './open-api-info.ts'
import { registerPublicAuth } from './public-auth/routes.ts'
import { registerCaptureRoutes } from './rest/capture-routes.ts'
import { registerCompletionRoutes } from './rest/completion-routes.ts'
import { registerRestRoutes } from './rest/routes.ts'

export type GatewayDeps = {
  readonly config: Pick<
    GatewayConfig,
    | 'ALLOWED_CIDRS'
    | 'ALLOWED_HOSTS'
    | 'AUTH_RATE_LIMIT_PER_MINUTE'
    | 'BROKER_API_KEY'
    | 'CORS_ALLOWED_ORIGINS'
    | 'NEXUS_RATE_LIMIT_ANONYMOUS'
    | 'NEXUS_RATE_LIMIT_AUTHENTICATED'
    | 'NEXUS_RATE_LIMIT_PREMIUM'
    | 'REDIRECT_PATH'
    | 'REQUIRE_BEARER'
    | 'TRUSTED_PROXIES'
  >
  readonly logger: Logger
  readonly metrics: Metrics
  readonly broker: BrokerClient
  readonly verifyState: StateSigner['verify']
  /** undefined: limits are counted in this process alone. */
  readonly redis: Pick<RedisHandle, 'client' | 'ping'> | undefined
  /** Milliseconds since the epoch. */
  readonly now: () => number
}

/** Bytes. Bodies are read and checked before the Broker has judged a token: nothing that is sent here needs more. */
const longestBody = 65_536

/** The Gateway from outside to inside: what every request meets, then every route there is. */
export async function buildApp(deps: GatewayDeps): Promise<ZodApp> {
  const { config, broker, logger, metrics, verifyState, now } = deps
  const app = createServer({
    logger,
    metrics,
    bodyLimit: longestBody,
    connections: { isShared: (address) => config.TRUSTED_PROXIES.contains(address) },
  })
  await registerOpenApi(app, openApiInfo)
  installClientAddress(app, config.TRUSTED_PROXIES)
  installAuthentication(app, {
    allowedCidrs: config.ALLOWED_CIDRS,
    operationsKey: config.BROKER_API_KEY,
    admitAgent: installAgents(app, deps),
  })
  if (!config.REQUIRE_BEARER) installHostCheck(app, config.ALLOWED_HOSTS)

  registerHealth(app, { ready: checkReadiness(deps) })
  registerOperatorRoutes(app, metrics)
  await app.register(async (scope) => registerRestRoutes(scope, { broker, verifyState }))
  await app.register(async (scope) => registerCompletionRoutes(scope, broker))
  await app.register(async (scope) => registerHubRoutes(scope, broker))
  const limitPublicRoutes = limitByAddress(
    createRateLimiter({
      redis: deps.redis?.client,
      perMinute: config.AUTH_RATE_LIMIT_PER_MINUTE,
      prefix: 'nexus:gateway:auth',
      now,
    }),
  )
  const allowedOrigins = config.CORS_ALLOWED_ORIGINS
  await app.register(async (scope) =>
    registerCaptureRoutes(scope, { broker, verifyState, limitPublicRoutes, allowedOrigins }),
  )
  await app.register(async (scope) =>
    registerPublicAuth(scope, { broker, verifyState, limitPublicRoutes, redirectPath: config.REDIRECT_PATH }),
  )
  return app
}

/** What is known and counted of agents; first of all that each of their requests is recorded, refused ones included. */
function installAgents(app: ZodApp, { config, logger, metrics, redis, now }: GatewayDeps) {
  const monotonicMs = performance.now.bind(performance)
  const known = createKnownAgents({ now: monotonicMs })
  const agentMetrics = createAgentMetrics(metrics, known.count)
  const onLost = agentMetrics.countLostMessage
  const channel = redis && createAuditChannel({ redis: redis.client, now: monotonicMs, onLost })
  installRequestRecords(app, { logger, channel, metrics: agentMetrics, now })

  const tiers = {
    anonymous: config.NEXUS_RATE_LIMIT_ANONYMOUS,
    authenticated: config.NEXUS_RATE_LIMIT_AUTHENTICATED,
    admin: config.NEXUS_RATE_LIMIT_PREMIUM,
  }
  const limits = createAgentLimits(tiers, { redis: redis?.client, now })
  const admission = { requireBearer: config.REQUIRE_BEARER, limits, known, now: monotonicMs }
  // before the answer goes out: whoever has it finds it counted
  app.addHook('onSend', async ({ callingAgent }, { statusCode }) => {
    if (statusCode >= 400 && statusCode <= 499 && statusCode !== 429) callingAgent?.onRefusedHere()
  })
  return (request: FastifyRequest) => admitAgent(admission, request)
}

function checkReadiness({ broker, redis }: GatewayDeps) {
  const isBrokerReady = rememberReadiness(() => broker.isReady(), performance.now.bind(performance))
  return async () => {
    const [isReady, redisAnswers] = await Promise.all([isBrokerReady(), redis?.ping()])
    const redisHealth = redisAnswers === undefined ? 'n/a' : redisAnswers ? 'ok' : 'away'
    return { ok: isReady, checks: { broker: isReady ? 'ok' : 'away', redis: redisHealth } }
  }
}
