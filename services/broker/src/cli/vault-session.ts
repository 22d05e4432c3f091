import { randomBytes } from 'node:crypto'
import { type Keyring, createKeyring } from '@nexus/crypto'
import { createUuidV7, drawAhead } from '@nexus/service'
import type { Origin } from '../audit/audit-event.ts'
import { type Environment, readKeysConfig } from '../config.ts'
import { type Database, openDatabase } from '../db/database.ts'
import { migrationLockId } from '../db/migrate.ts'
import { commandOrigin } from './command-origin.ts'

/** What commands on keys and vault work with. */
export type VaultSession = {
  readonly database: Database
  readonly keyring: Keyring
  readonly createId: () => string
  readonly origin: Origin
  readonly lockId: number
  /** Fires at the first Ctrl-C (or SIGTERM); the second one ends the process as it is, which loses nothing. */
  readonly signal: AbortSignal
}

// counting and comparing may read every row of a large table in one statement
const statementTimeoutMs = 600_000

/** Opens the database with the configured keys, for as long as `work` takes. */
export async function withVaultSession<Result>(
  env: Environment,
  work: (session: VaultSession) => Promise<Result>,
): Promise<Result> {
  const config = readKeysConfig(env)
  const keyring = createKeyring({
    primary: config.ENCRYPTION_KEY.reveal(),
    extra: config.ENCRYPTION_KEYS_EXTRA.map((key) => key.reveal()),
  })
  const stopping = new AbortController()
  const stop = (): void => stopping.abort()
  const database = openDatabase({
    url: config.DATABASE_URL.reveal(),
    maxConnections: 1,
    statementTimeoutMs,
    applicationName: 'nexus-keys',
    keepsPrepared: false,
    onIdleError: () => undefined,
  })
  process.once('SIGINT', stop).once('SIGTERM', stop)
  try {
    return await work({
      database,
      keyring,
      createId: createUuidV7(Date.now, drawAhead(randomBytes)),
      origin: commandOrigin(),
      lockId: migrationLockId,
      signal: stopping.signal,
    })
  } finally {
    process.off('SIGINT', stop).off('SIGTERM', stop)
    await database.close()
  }
}
