import { setTimeout as delay } from 'node:timers/promises'
import { createKeyring } from '@nexus/crypto'
import { type Logger, type LoggerOptions, type RunningService, createLogger, isAppError } from '@nexus/service'
import { composeBroker } from './compose-broker.ts'
import { type BrokerConfig, type Environment, migrationUrl, readBrokerConfig } from './config.ts'
import { type Database, openDatabase } from './db/database.ts'
import { migrateUp, migrationLockId, readMigrationStatus } from './db/migrate.ts'
import { sql } from './db/sql.ts'
import type { Checkpoint } from './refresher/checkpoint.ts'
import { registerKeys } from './vault/register-keys.ts'

/** Where the log goes (stdout unless said), and what the tests' own main does at the moments of a refresh. */
export type StartOptions = Pick<LoggerOptions, 'destination'> & { readonly checkpoint?: Checkpoint }

const databasePatienceMs = 30_000
/** Of the grace period, for what comes after the last answer was stored or written down. */
const closingMs = 2_000

/**
 * Starts a Broker: configuration → database → schema → keys → features → listening. No row is written before the keys
 * are proven to be this database's own (V2); outside production the schema is brought up before that.
 */
export async function startBroker(env: Environment, options: StartOptions = {}): Promise<RunningService> {
  const config = readBrokerConfig(env)
  const logger = createLogger({ level: config.LOG_LEVEL, service: 'broker', ...options })
  warnOfWeakSettings(config, logger)
  const keyring = createKeyring({
    primary: config.ENCRYPTION_KEY.reveal(),
    extra: config.ENCRYPTION_KEYS_EXTRA.map((key) => key.reveal()),
  })

  await using resources = new AsyncDisposableStack()
  const database = openPool(config, logger)
  resources.defer(() => database.close())
  await waitForDatabase(database, logger)
  await bringSchemaUp(config, logger)
  await registerKeys(database, keyring, migrationLockId)
  const broker = resources.use(await composeBroker(config, logger, database, keyring, options.checkpoint))
  await broker.start()
  const address = await broker.app.listen({ host: config.HOST, port: config.PORT })

  const owned = resources.move()
  return {
    address,
    logger,
    graceSeconds: config.SHUTDOWN_GRACE_SECONDS,
    async close() {
      const graceMs = config.SHUTDOWN_GRACE_SECONDS * 1000
      const patienceMs = graceMs - Math.min(closingMs, graceMs / 2)
      // first what is in flight, then what it stands on. Callers may wait for a refresh that waits for the database:
      // when they are answered does not decide when what is held for it is written down
      broker.refresher.stop()
      const closing = broker.app.close()
      // it is awaited below, and told of there: a drain that fails first is to be told of as well
      closing.catch(() => undefined)
      try {
        await broker.refresher.drain(patienceMs)
        await closing
      } finally {
        await owned.disposeAsync()
      }
    },
  }
}

function openPool(config: BrokerConfig, logger: Logger): Database {
  return openDatabase({
    url: config.DATABASE_URL.reveal(),
    maxConnections: config.DATABASE_POOL_MAX,
    statementTimeoutMs: config.DATABASE_STATEMENT_TIMEOUT_MS,
    applicationName: 'nexus-broker',
    keepsPrepared: config.DATABASE_PREPARED_STATEMENTS,
    onIdleError: (error) => {
      logger.warn({ err: error }, 'an idle database connection was lost')
    },
  })
}

/** A database that starts beside us is worth waiting for; one that stays away ends the start. */
async function waitForDatabase(database: Database, logger: Logger): Promise<void> {
  const deadline = performance.now() + databasePatienceMs
  for (;;) {
    try {
      await database.query(sql`select 1`)
      return
    } catch (error) {
      const isAway = isAppError(error) && error.code === 'unavailable'
      if (!isAway) throw error
      if (performance.now() > deadline)
        throw new Error(`the database cannot be reached${reasonOf(error.cause)}; is DATABASE_URL right?`, {
          cause: error,
        })
      logger.warn({ err: error }, 'waiting for the database')
      await delay(1_000)
    }
  }
}

/** `ECONNREFUSED` and `ENOTFOUND` are mended in different places. */
function reasonOf(cause: unknown): string {
  return cause instanceof Error && 'code' in cause ? ` (${String(cause.code)})` : ''
}

/** Development migrates by itself; production changes its schema only when told to. */
async function bringSchemaUp(config: BrokerConfig, logger: Logger): Promise<void> {
  const url = migrationUrl(config)
  if (config.NODE_ENV === 'production') {
    const { pending } = await readMigrationStatus(config.DATABASE_URL.reveal())
    if (pending.length > 0) {
      throw new Error(
        `the database schema is out of date (migrations pending: ${pending.length}); run: nexus-broker migrate up`,
      )
    }
    return
  }
  await migrateUp(url, (line) => {
    logger.info(line)
  })
}

function warnOfWeakSettings(config: BrokerConfig, logger: Logger): void {
  if (config.ADMIN_API_KEY === undefined) {
    logger.warn('ADMIN_API_KEY is not set: API_KEY, which every Gateway holds, may change provider profiles')
  }
  if (!config.REQUIRE_BEARER) {
    logger.warn('REQUIRE_BEARER is false: whoever holds API_KEY may use every connection')
  }
  if (config.REDIS_URL === undefined && config.NODE_ENV === 'production') {
    logger.warn('REDIS_URL is not set: rate limits are counted by each process for itself')
  }
}
