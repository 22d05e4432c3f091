import { type Cluster, migrateDatabase, startTemporaryCluster } from '@nexus/testing'
import { onTestFinished } from 'vitest'
import { type TestBroker, makeKeys, startTestBroker } from './harness.ts'

/** A PostgreSQL of the test's own, which it may stop, and a Broker that stands on it. */
export async function startOwnCluster(): Promise<{ readonly cluster: Cluster; readonly broker: TestBroker }> {
  const cluster = await startTemporaryCluster()
  onTestFinished(() => cluster[Symbol.asyncDispose]())
  const url = cluster.url('postgres')
  await migrateDatabase(url)
  const broker = await startTestBroker({ url }, { keys: makeKeys() })
  onTestFinished(() => broker[Symbol.asyncDispose]())
  return { cluster, broker }
}
