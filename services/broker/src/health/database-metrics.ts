import { connectionStatus } from '@nexus/contracts'
import type { Metrics } from '@nexus/service'
import { Counter, Gauge } from 'prom-client'
import type { AuditRetention } from '../audit/retention.ts'
import { countConnections } from '../connections/count-connections.ts'
import type { Queryable } from '../db/database.ts'
import { sampleSparingly } from './sample-sparingly.ts'

type Database = { readonly database: Queryable; readonly monotonicMs: () => number }

/** Connections by the status they read as. Counted when somebody scrapes, and seldom, whoever scrapes how often. */
export function watchConnections(metrics: Metrics, { database, monotonicMs }: Database): void {
  const sample = sampleSparingly(() => countConnections(database), monotonicMs)
  new Gauge({
    name: 'nexus_connections',
    help: 'Connections of all Brokers by status; up to a minute old, longer where counting takes long',
    labelNames: ['status'],
    registers: [metrics.registry],
    async collect() {
      const counts = await sample()
      this.reset()
      if (counts === undefined) return
      for (const status of connectionStatus.options) this.set({ status }, counts.get(status) ?? 0)
    },
  })
}

/** @returns what to call for each partition that was dropped */
export function createPartitionCounter(metrics: Metrics): () => void {
  const dropped = new Counter({
    name: 'nexus_audit_partitions_dropped_total',
    help: 'Audit partitions that this Broker dropped because all in them was older than the limit',
    registers: [metrics.registry],
  })
  return () => dropped.inc()
}

export function watchOldestPartition(metrics: Metrics, retention: Pick<AuditRetention, 'oldestAgeSeconds'>): void {
  new Gauge({
    name: 'nexus_audit_oldest_partition_age_seconds',
    help: 'Time since the oldest audit partition that still exists ended; well above the limit, none are being dropped',
    labelNames: ['table'],
    registers: [metrics.registry],
    collect() {
      for (const [table, age] of retention.oldestAgeSeconds()) this.set({ table }, age)
    },
  })
}
