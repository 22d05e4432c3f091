import { randomUUID } from 'node:crypto'
import { createKeyring, createVault } from '@nexus/crypto'
import { createLogger } from '@nexus/service'
import { type TestDatabase, captureLogs } from '@nexus/testing'
import { readBrokerConfig } from '../src/config.ts'
import { type Database, openDatabase } from '../src/db/database.ts'
import { createNoticeRecorder } from '../src/notices/notice-recorder.ts'
import { createOutbound } from '../src/oauth/outbound.ts'
import { createProviderClient } from '../src/oauth/openid-provider-client.ts'
import { type RefresherDeps, composeRefresher } from '../src/refresher/compose-refresher.ts'
import { createSecretVault } from '../src/vault/secret-vault.ts'
import { brokerEnvironment, fileKeys } from './harness.ts'

type Overrides = Partial<Pick<RefresherDeps, 'providerClient' | 'monotonicMs'>> & {
  readonly env?: Readonly<Record<string, string>>
  readonly database?: (real: Database) => Database
}

/** The refresher by itself, of real parts but for those that a test puts a fault or a clock into. It has no loop unless `env` says so. */
export async function openRefresher(testDatabase: Pick<TestDatabase, 'url'>, { env, ...overrides }: Overrides = {}) {
  await using resources = new AsyncDisposableStack()
  const config = readBrokerConfig(
    brokerEnvironment(testDatabase.url, fileKeys, 1, { REFRESH_ENABLED: 'false', ...env }),
  )
  const real = openDatabase({
    url: testDatabase.url,
    maxConnections: 5,
    statementTimeoutMs: 10_000,
    applicationName: 'nexus-broker',
    keepsPrepared: true,
    onIdleError: () => undefined,
  })
  resources.defer(() => real.close())
  const logs = captureLogs()
  const keyring = createKeyring({ primary: config.ENCRYPTION_KEY.reveal(), extra: [] })
  const { fetch } = createOutbound(config, resources)
  const refresher = resources.use(
    await composeRefresher(config, {
      vault: createSecretVault(createVault(keyring), () => undefined),
      createId: randomUUID,
      notices: createNoticeRecorder(randomUUID, false),
      providerClient: createProviderClient({ fetch, clockOffsetMs: () => 0 }),
      logger: createLogger({ level: 'trace', service: 'test', destination: logs }),
      schedule: { leadSeconds: 300, random: () => 0 },
      monotonicMs: () => performance.now(),
      checkpoint: () => undefined,
      countRefresh: () => undefined,
      observeRefresh: () => undefined,
      countLeaseLost: () => undefined,
      ...overrides,
      database: overrides.database?.(real) ?? real,
    }),
  )
  const owned = resources.move()
  return { ...refresher, logs, [Symbol.asyncDispose]: () => owned.disposeAsync() }
}
