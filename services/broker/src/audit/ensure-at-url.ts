import { openDatabase } from '../db/database.ts'
import { ensurePartitions } from './partitions.ts'

/** Makes the audit partitions from outside a running Broker: `migrate up` leaves a database that takes inserts. */
export async function ensureAuditPartitions(databaseUrl: string): Promise<readonly string[]> {
  const database = openDatabase({
    url: databaseUrl,
    maxConnections: 1,
    statementTimeoutMs: 60_000,
    applicationName: 'nexus-migrate',
    keepsPrepared: false,
    onIdleError: () => undefined,
  })
  try {
    return await ensurePartitions(database)
  } finally {
    await database.close()
  }
}
