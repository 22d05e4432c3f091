import { createLogger } from '@nexus/service'
import { captureLogs } from '@nexus/testing'
import { expect, onTestFinished, test } from 'vitest'
import { dayMs, dayPartition, monthPartition, partitionNamed } from '../src/audit/partition-calendar.ts'
import { ensurePartitions } from '../src/audit/partitions.ts'
import { createDatabaseClock } from '../src/db/database-clock.ts'
import { createSweeper } from '../src/maintenance/sweeper.ts'
import { openPool, openRetention } from './audit-scene.ts'
import { openPlainConnection } from './connection-scene.ts'
import { eventually } from './database-tools.ts'
import { type Answer, type TestBroker, makeKeys, startTestBroker } from './harness.ts'
import { type ShiftedDatabase, createShiftedDatabase } from './shifted-database.ts'

/** Callers who never stop: each reads a token, asks for a connection (an event), and lists the audit, in turn. */
function startLoad(brokers: readonly TestBroker[], connectionId: string, providerName: string) {
  const over = new AbortController()
  const refused: Answer[] = []
  let answered = 0
  const calls: readonly ((broker: TestBroker) => Promise<Answer>)[] = [
    (broker) => broker.get(`/connections/${connectionId}/token`),
    (broker) => broker.post('/auth/consent-spec', { workspace_id: 'somebody', provider_name: providerName }),
    (broker) => broker.get(`/connections/${connectionId}/token`),
    (broker) => broker.get('/audit?limit=20'),
  ]
  const call = async (broker: TestBroker, start: number): Promise<void> => {
    for (let n = start; !over.signal.aborted; n++) {
      const answer = await calls[n % calls.length]?.(broker)
      answered += 1
      if (answer !== undefined && answer.status !== 200) refused.push(answer)
    }
  }
  const callers = brokers.flatMap((broker) => [call(broker, 0), call(broker, 2)])
  const end = async (): Promise<void> => {
    over.abort()
    await Promise.all(callers)
  }
  onTestFinished(end)
  return {
    refused,
    end,
    /** Waits until everybody was answered once more, and a few more times. */
    waitForMore: () => {
      const from = answered
      return eventually('the load goes on', () => answered >= from + 12 || refused.length > 0 || undefined, 30_000)
    },
  }
}

/** The sweeper of one Broker, swept by the test alone. */
function openSweeper(database: ShiftedDatabase) {
  const logs = captureLogs()
  const pool = openPool(database)
  const retention = openRetention(database)
  const clock = createDatabaseClock(pool, { now: Date.now, monotonicMs: () => performance.now() })
  const logger = createLogger({ level: 'trace', service: 'test', destination: logs })
  const sweeper = createSweeper({
    database: pool,
    clock,
    logger,
    intervalMs: 3_600_000,
    auditRetention: retention,
    purgeAfterDays: 90,
    endMissedCompletions: async () => 0,
  })
  onTestFinished(() => sweeper[Symbol.asyncDispose]())
  const complaints = () => [...logs.lines(), ...retention.logs.lines()].filter(({ level }) => level !== 'info')
  return { sweep: sweeper.sweep, complaints, dropped: () => retention.dropped }
}

const timeout = 180_000

test('days and months roll over under load: no record fails, and nobody is refused', { timeout }, async () => {
  const database = await createShiftedDatabase()
  // a statement of a Broker that has waited for a lock fails, and with it what it was asked for
  await database.pool.query(`alter database ${database.name} set lock_timeout = '250ms'`)
  const keys = makeKeys()
  await using one = await startTestBroker(database, { keys, env: { AUTH_RATE_LIMIT_PER_MINUTE: '0' } })
  await using other = await startTestBroker(database, { keys, env: { AUTH_RATE_LIMIT_PER_MINUTE: '0' } })
  // a token that never expires: the time that passes here is not the provider's
  const { provider, id } = await openPlainConnection(one, { lifetimeSeconds: null })
  const sweepers = [openSweeper(database), openSweeper(database)]
  const sweep = () => Promise.all(sweepers.map((sweeper) => sweeper.sweep()))
  const beginLoad = () => startLoad([one, other], id, provider.name)
  const endLoad = async (load: ReturnType<typeof beginLoad>): Promise<void> => {
    await load.end()
    expect(load.refused.map(({ status, text }) => `${status} ${text}`)).toEqual([])
  }

  const load = beginLoad()
  /** Goes on to `at` in steps for which partitions were made ahead, sweeping after each. */
  const travelTo = async (at: number): Promise<void> => {
    for (let now = (await database.now()).getTime(); now < at && load.refused.length === 0;) {
      now = Math.min(at, now + 12 * dayMs)
      await database.moveTo(new Date(now))
      await Promise.all([load.waitForMore(), sweep()])
    }
  }
  const passOver = async (boundary: Date): Promise<void> => {
    await travelTo(boundary.getTime() - 400)
    await eventually('the boundary is passed', async () => (await database.now()) > boundary || undefined)
    await load.waitForMore()
  }
  await passOver(dayPartition(await database.now()).to)
  await passOver(monthPartition(await database.now()).to)
  await travelTo((await database.now()).getTime() + 40 * dayMs)
  await endLoad(load)

  // and 500 more: Nexus rests for months, and is asked again as soon as it has what a start makes
  for (let n = 0; n < 4; n++) {
    await database.moveTo(new Date((await database.now()).getTime() + 125 * dayMs))
    await ensurePartitions(openPool(database))
    const next = beginLoad()
    await Promise.all([next.waitForMore(), sweep()])
    await endLoad(next)
  }

  expect(sweepers.flatMap(({ complaints }) => complaints())).toEqual([])
  await expectLimits(database)
  const dropped = sweepers.reduce((sum, sweeper) => sum + sweeper.dropped(), 0)
  expect(dropped, 'all the days from before each rest').toBeGreaterThan(40 + 4 * 15)
})

/** Nothing is older than the limits say, and today has its place. */
async function expectLimits(database: ShiftedDatabase): Promise<void> {
  const now = await database.now()
  const { rows } = await database.pool.query<{ name: string }>(
    `select relname as name from pg_class where relname ~ '^audit_(reads|events)_2' and relkind = 'r' order by 1`,
  )
  const kept = rows.flatMap(({ name }) => partitionNamed(name) ?? [])
  for (const [table, days] of [
    ['audit_reads', 30],
    ['audit_events', 400],
  ] as const) {
    const partitions = kept.filter((partition) => partition.table === table)
    const [oldest] = partitions
    expect(oldest?.to.getTime(), `${table} holds nothing older`).toBeGreaterThan(now.getTime() - days * dayMs)
    expect(partitions.some(({ from, to }) => from <= now && now < to)).toBe(true)
  }
  const oldestEvent = await database.pool.query<{ at: Date }>('select min(at) as at from audit_events')
  const age = now.getTime() - (oldestEvent.rows[0]?.at.getTime() ?? 0)
  expect(age, 'and what is younger is still there').toBeGreaterThan(370 * dayMs)
}
