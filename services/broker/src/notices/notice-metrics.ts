import type { Metrics } from '@nexus/service'
import { Counter, Gauge } from 'prom-client'
import type { Queryable } from '../db/database.ts'
import * as store from './store.ts'

export type NoticeMetrics = {
  readonly count: (type: string, outcome: 'delivered' | 'retried' | 'abandoned') => void
}

/** Types come from the code that writes notices: a closed list (L3). */
export function createNoticeMetrics({ registry }: Metrics, database: Queryable): NoticeMetrics {
  const registers = [registry]
  const notices = new Counter({
    name: 'nexus_notices_total',
    help: 'Attempts to deliver a notice, by its type and what became of it',
    labelNames: ['type', 'outcome'],
    registers,
  })
  // a scrape never fails of a database that is away: what is not known is not a number
  const unknown: store.WaitingNotices = { waiting: Number.NaN, oldest_age_seconds: Number.NaN }
  let measuring: Promise<store.WaitingNotices> | undefined
  // both gauges of one scrape ask at the same time
  const measure = (): Promise<store.WaitingNotices> => {
    measuring ??= store
      .measureWaiting(database)
      .catch(() => unknown)
      .finally(() => (measuring = undefined))
    return measuring
  }
  new Gauge({
    name: 'nexus_notices_waiting',
    help: 'Notices in the outbox, those whose next attempt lies ahead included',
    registers,
    async collect() {
      this.set((await measure()).waiting)
    },
  })
  new Gauge({
    name: 'nexus_notices_oldest_age_seconds',
    help: 'Age of the oldest notice in the outbox; zero when it is empty',
    registers,
    async collect() {
      this.set((await measure()).oldest_age_seconds)
    },
  })
  return { count: (type, outcome) => notices.inc({ type, outcome }) }
}
