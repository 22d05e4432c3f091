import type { Keyring } from '@nexus/crypto'
import type { Logger, Metrics } from '@nexus/service'
import { type AuditRetention, createAuditRetention } from './audit/retention.ts'
import { type BrokerConfig, migrationUrl } from './config.ts'
import { startDisconnecting } from './connections/start-disconnecting.ts'
import { createDatabaseClock } from './db/database-clock.ts'
import type { Database } from './db/database.ts'
import { createLoneConnections } from './db/lone-connections.ts'
import { endMissedCompletions } from './handshake/end-holds.ts'
import { watchPartitions, watchRevocations } from './health/broker-metrics.ts'
import { createPartitionCounter, watchConnections, watchOldestPartition } from './health/database-metrics.ts'
import { createVaultMetrics } from './health/vault-metrics.ts'
import { type Sweeper, createSweeper } from './maintenance/sweeper.ts'
import { createNoticeMetrics } from './notices/notice-metrics.ts'
import type { Webhook } from './notices/send-notice.ts'
import { type NoticeLoopDeps, startNoticeLoop } from './notices/start-notice-loop.ts'
import { watchKeys } from './vault/watch-keys.ts'

/** What goes on in a Broker beside requests and refreshes. */

const sweepEveryMs = 60_000
const detachLockTimeoutMs = 2_000

export type Host = { readonly now: () => number; readonly monotonicMs: () => number }

type HousekeepingParts = {
  readonly database: Database
  readonly keyring: Keyring
  readonly logger: Logger
  readonly metrics: Metrics
  readonly host: Host
  readonly createId: () => string
}

/** The sweeper with all its jobs, the measured clock, and what watches database and keys. */
export function composeHousekeeping(
  config: BrokerConfig,
  resources: AsyncDisposableStack,
  { database, keyring, logger, metrics, host, createId }: HousekeepingParts,
): { readonly sweeper: Sweeper; readonly clock: ReturnType<typeof createDatabaseClock> } {
  const clock = createDatabaseClock(database, host)
  const auditRetention = composeRetention(config, { database, logger, owner: createId(), metrics })
  const sweeper = resources.use(
    createSweeper({
      database,
      clock,
      logger,
      intervalMs: sweepEveryMs,
      auditRetention,
      purgeAfterDays: config.PURGE_AFTER_DAYS,
      endMissedCompletions: (limit) => endMissedCompletions({ database, createId }, limit),
    }),
  )
  watchPartitions(metrics, sweeper)
  watchConnections(metrics, { database, monotonicMs: host.monotonicMs })
  const { noteKeyState } = createVaultMetrics({ metrics, database, keyring, monotonicMs: host.monotonicMs })
  resources.use(watchKeys({ database, keyring, logger, random: Math.random, onState: noteKeyState }))
  return { sweeper, clock }
}

type RetentionParts = {
  readonly database: Database
  readonly logger: Logger
  readonly owner: string
  readonly metrics: Metrics
}

function composeRetention(config: BrokerConfig, { metrics, ...parts }: RetentionParts): AuditRetention {
  const retention = createAuditRetention({
    ...parts,
    lone: createLoneConnections({
      url: migrationUrl(config),
      applicationName: 'nexus-broker',
      statementTimeoutMs: config.DATABASE_STATEMENT_TIMEOUT_MS,
      lockTimeoutMs: detachLockTimeoutMs,
    }),
    retentionDays: { audit_events: config.AUDIT_RETENTION_DAYS, audit_reads: config.AUDIT_READ_RETENTION_DAYS },
    countDropped: createPartitionCounter(metrics),
  })
  watchOldestPartition(metrics, retention)
  return retention
}

type SendingParts = Omit<NoticeLoopDeps, 'metrics'> &
  Parameters<typeof startDisconnecting>[0] & { readonly metrics: Metrics }

/**
 * What is owed to others: notices to webhooks, revocations to providers.
 * @returns how to begin no further round
 */
export function composeSending(
  config: BrokerConfig,
  resources: AsyncDisposableStack,
  { metrics, ...parts }: SendingParts,
): { readonly stop: () => void } {
  watchRevocations(metrics, resources.use(startDisconnecting(parts)))
  const notices = { ...parts, metrics: createNoticeMetrics(metrics, parts.database) }
  return resources.use(startNoticeLoop(notices, webhookOf(config)))
}

function webhookOf({ WEBHOOK_URL: url, WEBHOOK_SECRET: secrets }: BrokerConfig): Webhook | undefined {
  return url === undefined || secrets === undefined ? undefined : { url, secrets }
}
