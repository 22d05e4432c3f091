import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type Service, migrateDatabase, spawnService, startCluster } from '@nexus/testing'
import pg from 'pg'

export type Installation = {
  readonly databaseUrl: string
  readonly encryptionKey: Buffer
  readonly apiKey: string
  readonly adminApiKey: string
  readonly startBroker: (env?: Readonly<Record<string, string>>) => Promise<Service>
}

const brokerBin = fileURLToPath(new URL('../../services/broker/bin/nexus-broker.ts', import.meta.url))

/**
 * A PostgreSQL of its own with durable commits, migrated, and the keys that its Brokers share. Everything ends with
 * `resources`.
 * @param settings - of the server, beside PostgreSQL's defaults
 */
export async function prepareInstallation(
  resources: AsyncDisposableStack,
  settings: Readonly<Record<string, string>> = {},
): Promise<Installation> {
  const directory = mkdtempSync(join(tmpdir(), 'nexus-load-'))
  resources.defer(() => {
    rmSync(directory, { recursive: true, force: true })
  })
  const forced = { max_connections: '200', ...settings }
  const cluster = resources.use(await startCluster(join(directory, 'data'), { settings: forced }))
  const databaseUrl = cluster.url('postgres')
  await migrateDatabase(databaseUrl)
  const encryptionKey = randomBytes(32)
  const [apiKey, adminApiKey] = [randomBytes(32).toString('hex'), randomBytes(32).toString('hex')]
  const keys = {
    DATABASE_URL: databaseUrl,
    ENCRYPTION_KEY: encryptionKey.toString('base64'),
    STATE_KEY: randomBytes(32).toString('base64'),
    API_KEY: apiKey,
    ADMIN_API_KEY: adminApiKey,
  }
  const startBroker = async (env: Readonly<Record<string, string>> = {}): Promise<Service> =>
    resources.use(
      await spawnService({
        entry: brokerBin,
        args: ['serve'],
        ready: { path: '/health/ready' },
        env: {
          ...keys,
          HOST: '127.0.0.1',
          BASE_URL: 'http://127.0.0.1:1',
          REQUIRE_BEARER: 'false',
          ALLOW_PRIVATE_NETWORKS: 'true',
          NODE_ENV: 'production',
          LOG_LEVEL: 'warn',
          ...env,
        },
      }),
    )
  return { databaseUrl, encryptionKey, apiKey, adminApiKey, startBroker }
}

/** For what a soak looks up and changes behind the Brokers' backs. */
export function openPool(resources: AsyncDisposableStack, { databaseUrl }: Installation): pg.Pool {
  const pool = new pg.Pool({ connectionString: databaseUrl, max: 4 })
  // a pool that ends does not wait until its connections are closed, and the server goes next
  pool.on('error', () => undefined)
  resources.defer(() => pool.end())
  return pool
}
