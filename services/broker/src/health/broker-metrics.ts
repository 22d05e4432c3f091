import type { Metrics } from '@nexus/service'
import { Counter, Gauge } from 'prom-client'
import type { Database } from '../db/database.ts'
import type { Sweeper } from '../maintenance/sweeper.ts'
import type { RevocationWorker } from '../revocations/revocation-worker.ts'

export type BrokerMetrics = {
  readonly countRevocation: (outcome: string) => void
  readonly countIntegrityFailure: (purpose: string) => void
}

/** The Broker's own metrics. Labels come from profiles and closed lists, never from a request (L3). */
export function createBrokerMetrics(metrics: Metrics, database: Database): BrokerMetrics {
  const registers = [metrics.registry]
  const revocations = new Counter({
    name: 'nexus_revocations_total',
    help: 'Attempts to revoke what is not used any more, by outcome: done, unsupported, refused, transient; and abandoned',
    labelNames: ['outcome'],
    registers,
  })
  const integrityFailures = new Counter({
    name: 'nexus_vault_integrity_failures_total',
    help: 'Sealed secrets that did not open; any at all is an incident',
    labelNames: ['purpose'],
    registers,
  })
  new Gauge({
    name: 'nexus_database_connections',
    help: 'Open connections to PostgreSQL',
    registers,
    collect() {
      this.set(database.connections())
    },
  })
  new Gauge({
    name: 'nexus_database_waiting',
    help: 'Statements that wait for a connection',
    registers,
    collect() {
      this.set(database.waiting())
    },
  })
  return {
    countRevocation: (outcome) => revocations.inc({ outcome }),
    countIntegrityFailure: (purpose) => integrityFailures.inc({ purpose }),
  }
}

export function watchRevocations(metrics: Metrics, revocations: Pick<RevocationWorker, 'owed'>): void {
  new Gauge({
    name: 'nexus_revocations_owed',
    help: 'Revocations that providers are still to be told of, by all Brokers together',
    registers: [metrics.registry],
    collect() {
      this.set(revocations.owed())
    },
  })
}

export function watchPartitions(metrics: Metrics, sweeper: Pick<Sweeper, 'partitionDaysAhead'>): void {
  new Gauge({
    name: 'nexus_audit_partition_days_ahead',
    help: 'Days for which audit partitions exist; inserts fail at zero',
    registers: [metrics.registry],
    collect() {
      this.set(sweeper.partitionDaysAhead())
    },
  })
}
