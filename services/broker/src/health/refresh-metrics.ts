import type { Metrics } from '@nexus/service'
import { Counter, Gauge, Histogram } from 'prom-client'
import type { Queryable } from '../db/database.ts'
import type { CircuitBreakers, CircuitState } from '../refresher/circuit-breaker.ts'
import { readOldestDue } from '../refresher/oldest-due.ts'

export type RefreshMetrics = {
  readonly countRefresh: (provider: string, outcome: string) => void
  readonly observeRefresh: (provider: string, seconds: number) => void
  readonly countLeaseLost: () => void
  readonly countServedUnrefreshed: (reason: string) => void
}

const secondsBuckets = [0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 30]

/** What tells an operator whether tokens stay fresh. Labels come from profiles and closed lists (L3). */
export function createRefreshMetrics(metrics: Metrics): RefreshMetrics {
  const registers = [metrics.registry]
  const refreshes = new Counter({
    name: 'nexus_refreshes_total',
    help: 'Refreshes of access tokens, by provider profile and outcome',
    labelNames: ['provider', 'outcome'],
    registers,
  })
  const durations = new Histogram({
    name: 'nexus_refresh_duration_seconds',
    help: "From the lease on a token to its provider's answer",
    labelNames: ['provider'],
    buckets: secondsBuckets,
    registers,
  })
  const leasesLost = new Counter({
    name: 'nexus_refresh_leases_lost_total',
    help: 'Outcomes of refreshes that no longer counted when they were to be stored',
    registers,
  })
  const unrefreshed = new Counter({
    name: 'nexus_tokens_served_unrefreshed_total',
    help: 'Living tokens that were served though they could not be refreshed in time, by the reason',
    labelNames: ['reason'],
    registers,
  })
  return {
    countRefresh: (provider, outcome) => refreshes.inc({ provider, outcome }),
    observeRefresh: (provider, seconds) => durations.observe({ provider }, seconds),
    countLeaseLost: () => leasesLost.inc(),
    countServedUnrefreshed: (reason) => unrefreshed.inc({ reason }),
  }
}

/** Scraping costs at most one short query. */
export function watchRefresher(
  metrics: Metrics,
  database: Queryable,
  breakers: CircuitBreakers,
  held: () => number,
): void {
  const registers = [metrics.registry]
  new Gauge({
    name: 'nexus_refresh_oldest_due_seconds',
    help: 'How long the token that is longest due has been waiting for its refresh; 0: none is due',
    registers,
    async collect() {
      // while the database is away there is nothing to tell; other metrics say so
      this.set(await readOldestDue(database).catch(() => Number.NaN))
    },
  })
  new Gauge({
    name: 'nexus_refresh_open_breakers',
    help: 'Providers that this process leaves alone for a while because they do not work or refuse our client',
    registers,
    collect() {
      this.set(findOpenCircuits(breakers).length)
    },
  })
  new Gauge({
    name: 'nexus_refresh_breaker_open',
    help: 'The providers that this process leaves alone for a while; those that work are not listed',
    labelNames: ['provider'],
    registers,
    collect() {
      this.reset()
      for (const { providerName } of findOpenCircuits(breakers)) this.set({ provider: providerName }, 1)
    },
  })
  new Gauge({
    name: 'nexus_refresh_answers_held',
    help: 'Outcomes of refreshes that wait for the database',
    registers,
    collect() {
      this.set(held())
    },
  })
}

function findOpenCircuits(breakers: CircuitBreakers): readonly CircuitState[] {
  return [...breakers.states().values()].filter(({ state }) => state !== 'closed')
}
