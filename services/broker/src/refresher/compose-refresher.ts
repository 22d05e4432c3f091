import { setTimeout as delay } from 'node:timers/promises'
import type { Logger } from '@nexus/service'
import type { BrokerConfig } from '../config.ts'
import type { Database } from '../db/database.ts'
import type { BackgroundLoop } from '../maintenance/background-loop.ts'
import type { NoticeRecorder } from '../notices/notice-recorder.ts'
import type { ProviderClient } from '../oauth/provider-client.ts'
import type { SecretVault } from '../vault/secret-vault.ts'
import type { Checkpoint } from './checkpoint.ts'
import { type CircuitBreakers, createCircuitBreakers } from './circuit-breaker.ts'
import { type AnswerKeeper, createAnswerKeeper } from './keep-answers.ts'
import { createProviderSlots } from './provider-slots.ts'
import { recordRefreshed } from './record-outcome.ts'
import { createRefreshEngine } from './refresh-engine.ts'
import { startRefreshLoop } from './refresh-loop.ts'
import { type RefreshConnection, createRefreshConnection } from './refresh-on-demand.ts'
import type { ScheduleSettings } from './schedule.ts'
import { createSealedAnswers } from './sealed-answers.ts'
import { openSpool } from './spool.ts'

export type RefresherDeps = {
  readonly database: Database
  readonly vault: SecretVault
  readonly createId: () => string
  readonly notices: NoticeRecorder
  readonly providerClient: Pick<ProviderClient, 'refresh' | 'findEndpoints'>
  readonly logger: Logger
  readonly schedule: ScheduleSettings
  readonly monotonicMs: () => number
  readonly checkpoint: Checkpoint
  readonly countRefresh: (provider: string, outcome: string) => void
  readonly observeRefresh: (provider: string, seconds: number) => void
  readonly countLeaseLost: () => void
}

type RefresherConfig = Pick<BrokerConfig, 'REFRESH_CONCURRENCY' | 'REFRESH_ENABLED' | 'RESTORED_AT' | 'SPOOL_DIR'>

export type Refresher = AsyncDisposable & {
  readonly refreshConnection: RefreshConnection
  readonly breakers: CircuitBreakers
  readonly held: AnswerKeeper['held']
  /** Stores what an earlier process left in the spool, and begins to refresh what is due. */
  readonly start: () => Promise<void>
  /** From now on nothing is claimed. */
  readonly stop: () => void
  /** Follows through what is under way, for so many milliseconds at most. @throws Error that names what is lost */
  readonly drain: (patienceMs: number) => Promise<void>
}

/** The refresher of one process: one engine for readers, for callers who force a refresh, and for the loop. */
export async function composeRefresher(config: RefresherConfig, deps: RefresherDeps): Promise<Refresher> {
  const breakers = createCircuitBreakers(deps.monotonicMs, deps.schedule.random)
  const keeper = createAnswerKeeper({
    ...deps,
    answers: createSealedAnswers(deps.vault),
    recordRefreshed: (facts, grant) => recordRefreshed(deps, facts, grant),
    spool: config.SPOOL_DIR === undefined ? undefined : await openSpool(config.SPOOL_DIR),
  })
  const engine = createRefreshEngine({
    ...deps,
    keeper,
    breakers,
    slots: createProviderSlots(config.REFRESH_CONCURRENCY),
    restoredAt: config.RESTORED_AT === undefined ? undefined : new Date(config.RESTORED_AT),
  })
  let loop: BackgroundLoop | undefined
  return {
    refreshConnection: createRefreshConnection(engine),
    breakers,
    held: keeper.held,
    async start() {
      await keeper.readSpool()
      if (config.REFRESH_ENABLED) loop = startRefreshLoop(engine, deps.schedule.random)
    },
    stop: engine.stop,
    async drain(patienceMs) {
      const deadlineMs = deps.monotonicMs() + patienceMs
      engine.stop()
      loop?.stop()
      // its last round may wait for a database that does not answer
      await Promise.race([loop?.[Symbol.asyncDispose](), delay(patienceMs, undefined, { ref: false })])
      await engine.drain(deadlineMs)
    },
    // what was sent is drained before; after a start that failed there is none
    async [Symbol.asyncDispose]() {
      engine.stop()
      await loop?.[Symbol.asyncDispose]()
    },
  }
}
