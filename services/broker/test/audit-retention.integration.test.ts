import { test } from '@nexus/testing/vitest'
import { expect, onTestFinished } from 'vitest'
import { countDaysAhead, ensurePartitions } from '../src/audit/partitions.ts'
import {
  dayAgo,
  insertRecord,
  keepRecording,
  makePartition,
  monthAgo,
  openPool,
  openTransaction,
  openRetention,
  startReader,
  stateOf,
  waitForDetach,
} from './audit-scene.ts'
import { eventually, whileLocked } from './database-tools.ts'
import { startTestBroker } from './harness.ts'

test('what is older than its limit goes, and nothing that is younger', async ({ database }) => {
  const { pool } = database
  const kept = [dayAgo(1), dayAgo(5), monthAgo(40)]
  const over = [dayAgo(7), dayAgo(8), 'audit_reads_2021_02_28', monthAgo(95), 'audit_events_2020_12']
  for (const name of [...kept, ...over]) await makePartition(pool, name)
  const retention = openRetention(database, { events: 60, reads: 5 })
  await retention.dropOldPartitions()
  for (const name of over) expect(await stateOf(pool, name), name).toBe('gone')
  for (const name of kept) expect(await stateOf(pool, name), name).toBe('attached')
  expect(retention.dropped).toBe(over.length)
  expect(await countDaysAhead(retention.pool)).toBe(14)
  expect((await pool.query('select from maintenance_leases')).rowCount, 'the lease is given back').toBe(0)
  const told = retention.logs.lines().map(({ level, partition }) => [level, partition])
  expect(told, 'the oldest goes first').toEqual([
    ['info', 'audit_events_2020_12'],
    ['info', monthAgo(95)],
    ['info', 'audit_reads_2021_02_28'],
    ['info', dayAgo(8)],
    ['info', dayAgo(7)],
  ])
})

test('where nothing is to do nothing is written and nobody is waited for', async ({ database }) => {
  const { pool } = database
  onTestFinished(async () => void (await pool.query('drop trigger refuse on maintenance_leases')))
  await pool.query(`create function refuse() returns trigger language plpgsql as $$ begin raise 'written'; end $$`)
  await pool.query('create trigger refuse before insert on maintenance_leases execute function refuse()')
  const retention = openRetention(database)
  await whileLocked(pool, 'lock table audit_events, audit_reads in share update exclusive mode', async () => {
    await retention.dropOldPartitions()
    expect(await ensurePartitions(retention.pool)).toEqual([])
  })
})

test('the age of the oldest partition is known, the one that is stuck included', async ({ database }) => {
  const retention = openRetention(database)
  await retention.dropOldPartitions()
  const name = await makePartition(database.pool, dayAgo(29))
  await retention.dropOldPartitions()
  const age = retention.oldestAgeSeconds().get('audit_reads') ?? 0
  expect(Math.abs(age - 28.5 * 86_400)).toBeLessThanOrEqual(0.5 * 86_400 + 60)
  await database.pool.query(`drop table ${name}`)
})

test('records are made without waiting while a reader keeps an old partition from going', async ({ database }) => {
  const { pool } = database
  const [reads, events] = ['audit_reads_2020_03_01', 'audit_events_2020_03']
  for (const name of [reads, 'audit_reads_2020_03_02', events]) await makePartition(pool, name)
  const retention = openRetention(database)
  const reader = await startReader(pool)
  const recording = keepRecording(database)
  await recording.waitForMore()

  const dropping = retention.dropOldPartitions()
  await waitForDetach(pool)
  await recording.waitForMore()
  await dropping
  expect(await stateOf(pool, reads), 'given up for now').toBe('detaching')
  expect(await stateOf(pool, 'audit_reads_2020_03_02'), 'waits its turn').toBe('attached')
  expect(await stateOf(pool, events), 'the other table has no reader').toBe('gone')
  expect(retention.logs.lines().at(-1)).toMatchObject({ level: 'warn', table: 'audit_reads' })

  // once more, now before a detach that is to be ended
  await retention.dropOldPartitions()
  expect(await stateOf(pool, reads)).toBe('detaching')
  await recording.waitForMore()
  await reader.end()
  await retention.dropOldPartitions()
  for (const name of [reads, 'audit_reads_2020_03_02']) expect(await stateOf(pool, name), name).toBe('gone')
  await recording.waitForMore()
  await recording.end()
  expect(recording.failures).toEqual([])
})

test('partitions are dropped in a row while others write and list, and nobody notices', async ({ database }) => {
  const { pool } = database
  await using broker = await startTestBroker(database)
  const names = Array.from(
    { length: 40 },
    (_, n) => `audit_reads_2020_${n < 20 ? '04' : '05'}_${String((n % 20) + 10)}`,
  )
  for (const name of names) await makePartition(pool, name)
  const recording = keepRecording(database)
  const answers = new Map<number, number>()
  const over = new AbortController()
  const list = async (): Promise<void> => {
    while (!over.signal.aborted) {
      const { status } = await broker.get('/audit?limit=200&until=2030-01-01T00:00:00Z')
      answers.set(status, (answers.get(status) ?? 0) + 1)
    }
  }
  const readers = [list(), list(), list()]
  const retention = openRetention(database)
  await retention.dropOldPartitions()
  await recording.waitForMore()
  over.abort()
  await Promise.all(readers)
  await recording.end()
  expect(recording.failures).toEqual([])
  expect([...answers.keys()]).toEqual([200])
  expect(retention.dropped, 'none had to be left for later').toBe(names.length)
})

test('partitions are made beside a detach, and neither stands in the way of the other', async ({ database }) => {
  const { pool } = database
  const missing = (
    await pool.query<{ name: string }>(
      `select inhrelid::regclass::text as name from pg_inherits where inhparent = 'audit_reads'::regclass order by 1 desc limit 2`,
    )
  ).rows.map(({ name }) => name)
  for (const name of missing) await pool.query(`drop table ${name}`)
  await makePartition(pool, 'audit_reads_2020_06_01')

  // the maker stands in the middle of its work, because somebody else is about to make a table of the same name
  const rival = await openTransaction(pool, `create table ${missing[0]} (n integer)`)
  const making = ensurePartitions(openPool(database))
  await waitFor(pool, `create table if not exists`)
  const retention = openRetention(database)
  const dropping = retention.dropOldPartitions()
  await waitFor(pool, `detach partition`)
  await rival.end()

  expect((await making).toSorted()).toEqual(missing.toSorted())
  await dropping
  expect(retention.dropped).toBe(1)
  expect(retention.logs.lines().filter(({ level }) => level === 'warn')).toEqual([])
})

test('a partition is over by its bounds, whatever its name says', async ({ database }) => {
  const { pool } = database
  const name = 'audit_events_2019_01'
  await pool.query(`create table ${name} (like audit_events including all)`)
  await pool.query(`alter table audit_events attach partition ${name} for values from (minvalue) to ('2020-06-01')`)
  await insertRecord(pool, 'audit_events', new Date('2020-05-31'))
  const daysSince = (date: string): number => Math.floor((Date.now() - Date.parse(date)) / 86_400_000)
  await openRetention(database, { events: daysSince('2020-05-20') }).dropOldPartitions()
  expect(await stateOf(pool, name)).toBe('attached')
  await openRetention(database, { events: daysSince('2020-06-02') }).dropOldPartitions()
  expect(await stateOf(pool, name)).toBe('gone')
})

async function waitFor(pool: Parameters<typeof stateOf>[0], query: string): Promise<void> {
  await eventually(`a statement waits: ${query}`, async () => {
    const { rows } = await pool.query(
      `select from pg_stat_activity
        where datname = current_database() and wait_event_type = 'Lock' and query ilike '%' || $1 || '%'`,
      [query],
    )
    return rows.length > 0 ? true : undefined
  })
}
