import { setTimeout as delay } from 'node:timers/promises'
import { type Logger, type Metrics, type RedisHandle, isAppError } from '@nexus/service'
import { Counter } from 'prom-client'
import { createLastUsed } from '../db/last-used.ts'
import type { Database } from '../db/database.ts'
import { startBackgroundLoop } from '../maintenance/background-loop.ts'
import { type ChangeSignal, createChangeSignal } from './change-signal.ts'
import { type Identities, createIdentities } from './identities.ts'
import { touchTokens } from './identity-store.ts'

export type AgentParts = {
  readonly database: Database
  readonly redis: Pick<RedisHandle, 'client'> | undefined
  readonly logger: Logger
  readonly metrics: Metrics
  readonly monotonicMs: () => number
  readonly random: () => number
}

export type Agents = Pick<Identities, 'identify'> & { readonly signal: Pick<ChangeSignal, 'send'> }

/** With the spread of the loop at most 0.9 s: a revocation is felt within a second and the time of a statement. */
const pollEveryMs = 700
/** However often somebody says that something changed: Redis is not to be believed (R5). */
const shortestPauseMs = 20

/** Who tells agents by their tokens, and hears of what changes about them, by the database and sooner by Redis. */
export function composeAgents(parts: AgentParts, resources: AsyncDisposableStack): Agents {
  const { database, redis, logger, monotonicMs, random } = parts
  const lastUsed = resources.use(
    createLastUsed({ logger, now: monotonicMs, write: (uses) => touchTokens(database, uses) }),
  )
  const identities = createIdentities({
    database,
    monotonicMs,
    noteUse: lastUsed.note,
    countCheck: countChecks(parts.metrics),
  })
  let isAskedFor = false
  const loop = resources.use(
    startBackgroundLoop({
      name: 'hear of changed agents',
      everyMs: pollEveryMs,
      async work() {
        isAskedFor = false
        await identities.poll().catch(ignoreOutage)
        if (isAskedFor) await delay(shortestPauseMs)
        return isAskedFor
      },
      logger,
      random,
    }),
  )
  const hearNow = (): void => {
    isAskedFor = true
    loop.wake()
  }
  const signal = resources.use(createChangeSignal(redis, logger, { onChange: hearNow, onLost: identities.forgetAll }))
  const send = (): void => {
    signal.send()
    // this Broker needs nobody to tell it
    hearNow()
  }
  return { identify: identities.identify, signal: { send } }
}

/** What was remembered stops to count by itself, and a database that is away makes itself heard elsewhere. */
function ignoreOutage(error: unknown): void {
  if (!isAppError(error) || error.code !== 'unavailable') throw error
}

function countChecks({ registry }: Metrics): (how: 'known' | 'looked_up') => void {
  const checks = new Counter({
    name: 'nexus_agent_checks_total',
    help: 'Agent tokens that were checked: known, from memory; looked_up, by a look into the database',
    labelNames: ['how'],
    registers: [registry],
  })
  return (how) => checks.inc({ how })
}
