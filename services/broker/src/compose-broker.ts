import { randomBytes } from 'node:crypto'
import type { Keyring } from '@nexus/crypto'
import { createStateSigner, createVault } from '@nexus/crypto'
import {
  type Logger,
  type RateLimiterOptions,
  createElapsedClock,
  createMetrics,
  createRateLimiter,
  createRedis,
  createUuidV7,
  drawAhead,
} from '@nexus/service'
import { composeAgents } from './agents/compose-agents.ts'
import { type BrokerDeps, buildApp } from './app.ts'
import { systemOrigin } from './audit/audit-event.ts'
import { createDenialRecorder } from './audit/record-denial.ts'
import { recordEvent } from './audit/record-event.ts'
import { type Host, composeHousekeeping, composeSending } from './compose-background.ts'
import type { BrokerConfig } from './config.ts'
import { composeBranding } from './connect/compose-branding.ts'
import { noteConnectionUses } from './connections/note-uses.ts'
import { guardConnection } from './connections/guard-connection.ts'
import { type ReadTokenDeps, type TokenReader, createTokenReader } from './connections/read-token.ts'
import { createUnrefreshedLog } from './connections/unrefreshed-log.ts'
import type { Database } from './db/database.ts'
import { createLastUsed } from './db/last-used.ts'
import { createBrokerMetrics } from './health/broker-metrics.ts'
import { createRefreshMetrics, watchRefresher } from './health/refresh-metrics.ts'
import type { CallerSettings } from './http/authenticate-caller.ts'
import { limitByAddress } from './http/limit-by-address.ts'
import { createNoticeRecorder } from './notices/notice-recorder.ts'
import { createOutbound } from './oauth/outbound.ts'
import { createProviderClient } from './oauth/openid-provider-client.ts'
import { createTrial } from './oauth/try-credentials.ts'
import type { Checkpoint } from './refresher/checkpoint.ts'
import { type Refresher, composeRefresher } from './refresher/compose-refresher.ts'
import { type SecretVault, createSecretVault } from './vault/secret-vault.ts'

/** Refused calls that are recorded, per address. */
const denialsPerMinute = 60

/** Candidates for the client secret of one profile: enough to plan by, too few to guess by. */
const secretComparisonsPerMinute = 20

export type ComposedBroker = AsyncDisposable & {
  readonly app: Awaited<ReturnType<typeof buildApp>>
  /** Makes what the first request needs (partitions, the measured clock), and begins the work in the background. */
  readonly start: () => Promise<void>
  readonly refresher: Pick<Refresher, 'stop' | 'drain'>
}

/** Puts the parts together: config → vault → features → app. What is made here is disposed of here, in reverse. */
export async function composeBroker(
  config: BrokerConfig,
  logger: Logger,
  database: Database,
  keyring: Keyring,
  checkpoint: Checkpoint = () => undefined,
): Promise<ComposedBroker> {
  await using resources = new AsyncDisposableStack()
  const host: Host = { now: Date.now, monotonicMs: createElapsedClock() }
  const createId = createUuidV7(host.now, drawAhead(randomBytes))
  const metrics = createMetrics('broker')
  const { countIntegrityFailure, countRevocation } = createBrokerMetrics(metrics, database)
  const { sweeper, clock } = composeHousekeeping(config, resources, {
    database,
    keyring,
    logger,
    metrics,
    host,
    createId,
  })
  const redis = createRedis(config.REDIS_URL?.reveal() ?? 'memory://', logger)
  resources.defer(async () => redis?.close())

  const vault = composeVault(keyring, { database, createId, logger, count: countIntegrityFailure })
  const outbound = createOutbound(config, resources)
  const providerClient = createProviderClient({ fetch: outbound.fetch, clockOffsetMs: clock.offsetMs })
  const notices = createNoticeRecorder(createId, config.WEBHOOK_URL !== undefined)
  const schedule = { leadSeconds: config.REFRESH_LEAD_SECONDS, random: Math.random }
  const times = { monotonicMs: host.monotonicMs, databaseNow: clock.now, random: Math.random }
  const shared = { database, vault, createId, schedule, ...times, providerClient, notices, countRevocation, logger }

  const refreshMetrics = createRefreshMetrics(metrics)
  const refresher = resources.use(await composeRefresher(config, { ...shared, ...refreshMetrics, checkpoint }))
  watchRefresher(metrics, database, refresher.breakers, refresher.held)
  const sending = composeSending(config, resources, { ...shared, ...outbound, metrics })
  const agents = composeAgents({ ...shared, redis, metrics }, resources)

  const deps: BrokerDeps = {
    ...shared,
    ...agents,
    guardConnection: (agent, id, permissions) => guardConnection(database, agent, id, permissions),
    metrics,
    redis,
    sweeper,
    callers: callerSettings(config),
    recordDenial: createDenialRecorder({
      ...shared,
      limiter: createRateLimiter({ perMinute: denialsPerMinute, prefix: '', now: host.now }),
    }),
    assertUrlAllowed: outbound.assertUrlAllowed,
    tryCredentials: createTrial({ fetch: outbound.fetch, logger }),
    ...composeBranding(config, { ...shared, fetch: outbound.fetch }),
    ...handshakeSettings(config),
    randomBytes,
    ...composeLimits(config, redis?.client, host.now),
    ...composeReader({ ...shared, refresh: refresher.refreshConnection, ...refreshMetrics }, resources),
  }
  const app = await buildApp(deps)
  // from the signal on, while requests in hand are finished, no further round begins
  app.addHook('preClose', async () => sending.stop())
  const owned = resources.move()
  const start = async (): Promise<void> => {
    await sweeper.sweep()
    await refresher.start()
  }
  return { app, start, refresher, [Symbol.asyncDispose]: () => owned.disposeAsync() }
}

/** Counted over all Brokers, as far as Redis answers. */
function composeLimits(config: BrokerConfig, redis: RateLimiterOptions['redis'], now: () => number) {
  const perMinute = config.AUTH_RATE_LIMIT_PER_MINUTE
  return {
    limitPublicRoutes: limitByAddress(createRateLimiter({ redis, perMinute, prefix: 'nexus:broker:auth', now })),
    secretComparisons: createRateLimiter({
      redis,
      perMinute: secretComparisonsPerMinute,
      prefix: 'nexus:broker:secret-compared',
      now,
    }),
  }
}

type ReaderParts = Omit<ReadTokenDeps, 'noteUse' | 'noteServedUnrefreshed'> & {
  readonly logger: Logger
  readonly monotonicMs: () => number
  readonly countServedUnrefreshed: (code: string) => void
}

/** The reader of credentials, which keeps note of what is used and of what should have been fresher. */
function composeReader(parts: ReaderParts, resources: AsyncDisposableStack): TokenReader {
  const { database, logger, monotonicMs: now } = parts
  const lastUsed = resources.use(createLastUsed({ logger, now, write: (uses) => noteConnectionUses(database, uses) }))
  const logUnrefreshed = createUnrefreshedLog(logger, now)
  return createTokenReader({
    ...parts,
    noteUse: lastUsed.note,
    noteServedUnrefreshed(connectionId, error) {
      parts.countServedUnrefreshed(error.code)
      logUnrefreshed(connectionId, error)
    },
  })
}

type IntegrityWatch = {
  readonly database: Database
  readonly createId: () => string
  readonly logger: Logger
  readonly count: (purpose: string) => void
}

/** A vault whose failures are counted and recorded. */
function composeVault(keyring: Keyring, { database, createId, logger, count }: IntegrityWatch): SecretVault {
  return createSecretVault(createVault(keyring), ({ purpose, recordId }) => {
    count(purpose)
    const connectionId = purpose === 'token' ? recordId : undefined
    const event = { event: 'vault.integrity_failed', outcome: purpose, origin: systemOrigin, connectionId } as const
    recordEvent(database, createId(), { ...event, data: { record: recordId } }).catch((error: unknown) => {
      logger.error({ err: error, purpose, record: recordId }, 'an integrity failure could not be recorded')
    })
  })
}

function handshakeSettings(config: BrokerConfig) {
  return {
    redirectUri: { baseUrl: config.BASE_URL, redirectPath: config.REDIRECT_PATH },
    returnDomains: config.ALLOWED_RETURN_DOMAINS,
    linkTtlSeconds: config.CONNECT_LINK_TTL_SECONDS,
    completionSeconds: config.COMPLETION_SECONDS,
    signer: createStateSigner({ key: config.STATE_KEY.reveal(), retiredKey: config.STATE_KEY_RETIRED?.reveal() }),
  }
}

function callerSettings(config: BrokerConfig): CallerSettings {
  return {
    apiKeys: config.API_KEY,
    adminApiKey: config.ADMIN_API_KEY,
    requireBearer: config.REQUIRE_BEARER,
    allowedCidrs: config.ALLOWED_CIDRS,
    trustedProxies: config.TRUSTED_PROXIES,
  }
}
