import { parseCidrs, Secret } from '@nexus/config'
import { AppError, buildOpenApi, createLogger, createMetrics } from '@nexus/service'
import { buildApp } from './app.ts'
import type { BrokerClient } from './broker/broker-client.ts'

/** The OpenAPI 3.1 document of the Gateway as JSON text. It needs no configuration, Broker or network. */
export async function buildOpenApiDocument(): Promise<string> {
  const app = await buildApp({
    config: {
      ALLOWED_CIDRS: parseCidrs(''),
      ALLOWED_HOSTS: [],
      AUTH_RATE_LIMIT_PER_MINUTE: 0,
      BROKER_API_KEY: new Secret(''),
      CORS_ALLOWED_ORIGINS: [],
      NEXUS_RATE_LIMIT_ANONYMOUS: 0,
      NEXUS_RATE_LIMIT_AUTHENTICATED: 0,
      NEXUS_RATE_LIMIT_PREMIUM: 0,
      REDIRECT_PATH: '/auth/callback',
      REQUIRE_BEARER: true,
      TRUSTED_PROXIES: parseCidrs(''),
    },
    logger: createLogger({ level: 'silent', service: 'gateway' }),
    metrics: createMetrics('gateway'),
    broker: noBroker,
    verifyState: () => undefined,
    redis: undefined,
    now: Date.now,
  })
  try {
    await app.ready()
    return buildOpenApi(app)
  } finally {
    await app.close()
  }
}

const away = () => Promise.reject(new AppError('broker_unavailable', 'There is no Broker here'))
const noBroker: BrokerClient = {
  call: away,
  forward: away,
  isReady: () => Promise.resolve(false),
  close: () => Promise.resolve(),
}
