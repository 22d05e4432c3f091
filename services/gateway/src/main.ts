import { createStateSigner } from '@nexus/crypto'
import { createLogger, createMetrics, createRedis, type RunningService } from '@nexus/service'
import { buildApp } from './app.ts'
import { createBrokerClient } from './broker/broker-client.ts'
import { readGatewayConfig } from './config.ts'

/**
 * Builds the Gateway from its environment and listens. Ended by `close`: requests in hand are finished first.
 *
 * @throws ConfigError
 */
export async function startGateway(env: Readonly<Record<string, string | undefined>>): Promise<RunningService> {
  const config = readGatewayConfig(env)
  const logger = createLogger({ level: config.LOG_LEVEL, service: 'gateway' })
  await using resources = new AsyncDisposableStack()
  const redis = createRedis(config.REDIS_URL.reveal(), logger)
  resources.defer(async () => redis?.close())
  if (redis === undefined && config.NODE_ENV === 'production') {
    logger.warn('REDIS_URL is not set: limits are counted per process')
  }
  if (!config.REQUIRE_BEARER) logger.warn('REQUIRE_BEARER=false: agents are not asked who they are')

  const broker = createBrokerClient({ baseUrl: new URL(config.BROKER_BASE_URL), apiKey: config.BROKER_API_KEY })
  resources.defer(() => broker.close())
  const states = createStateSigner({
    key: config.STATE_KEY.reveal(),
    ...(config.STATE_KEY_RETIRED === undefined ? {} : { retiredKey: config.STATE_KEY_RETIRED.reveal() }),
  })
  const app = await buildApp({
    config,
    logger,
    metrics: createMetrics('gateway'),
    broker,
    verifyState: (state) => states.verify(state),
    redis,
    now: Date.now,
  })
  resources.defer(() => app.close())
  const address = await app.listen({ port: config.PORT, host: config.HOST })
  const owned = resources.move()
  return { address, logger, graceSeconds: config.SHUTDOWN_GRACE_SECONDS, close: () => owned.disposeAsync() }
}
