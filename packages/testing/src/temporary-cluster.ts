import { chmodSync, mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startCluster, type Cluster } from './embedded-postgres.ts'
import { removeHome } from './postgres-home.ts'

/**
 * A cluster for tests that stop, kill or misconfigure the server itself; its data vanishes when it is disposed of.
 * Durability is off unless `settings` turn it on: an `immediate` stop loses nothing all the same, because the operating
 * system keeps what was written.
 */
export async function startTemporaryCluster(settings: Readonly<Record<string, string>> = {}): Promise<Cluster> {
  const dir = mkdtempSync(join(tmpdir(), 'nexus-postgres-'))
  // the account that runs PostgreSQL for root enters here
  chmodSync(dir, 0o755)
  const quick = { fsync: 'off', full_page_writes: 'off', max_connections: '300', ...settings }
  try {
    const cluster = await startCluster(dir, { settings: quick })
    const dispose = async (): Promise<void> => {
      await cluster.stop()
      removeHome(dir)
    }
    return {
      port: cluster.port,
      get pid() {
        return cluster.pid
      },
      url: cluster.url,
      start: cluster.start,
      stop: cluster.stop,
      [Symbol.asyncDispose]: dispose,
    }
  } catch (error) {
    removeHome(dir)
    throw error
  }
}
