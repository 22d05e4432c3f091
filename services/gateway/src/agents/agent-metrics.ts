import type { Metrics } from '@nexus/service'
import { Counter, Gauge, Histogram } from 'prom-client'

export type AgentMetrics = {
  readonly observe: (operation: string, status: number, milliseconds: number) => void
  readonly countLostMessage: () => void
}

const labelNames = ['operation', 'transport', 'status_class'] as const
const latencyBuckets = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30]

/**
 * What agents do, by the names of operations, which routes declare: nothing that a caller sends becomes a label (L3).
 * @param countActive - agents heard of within the last minute
 */
export function createAgentMetrics({ registry }: Metrics, countActive: () => number): AgentMetrics {
  const registers = [registry]
  const requests = new Counter({ name: 'nexus_requests_total', help: 'Requests of agents', labelNames, registers })
  const errors = new Counter({
    name: 'nexus_errors_total',
    help: 'Requests of agents that were not answered with success',
    labelNames,
    registers,
  })
  const latency = new Histogram({
    name: 'nexus_request_latency_seconds',
    help: 'Time from the headers of a request of an agent to the end of its answer',
    labelNames,
    buckets: latencyBuckets,
    registers,
  })
  const lost = new Counter({
    name: 'nexus_audit_messages_lost_total',
    help: 'Records of requests that Redis did not take; each stands on standard output all the same',
    registers,
  })
  new Gauge({
    name: 'nexus_active_clients',
    help: 'Agents, by key_id, whose token was taken within the last 60 seconds',
    registers,
    collect() {
      this.set(countActive())
    },
  })

  return {
    observe(operation, status, milliseconds) {
      const labels = { operation, transport: 'rest', status_class: `${Math.floor(status / 100)}xx` }
      requests.inc(labels)
      if (status >= 400) errors.inc(labels)
      latency.observe(labels, milliseconds / 1000)
    },
    countLostMessage: () => lost.inc(),
  }
}
