import { randomUUID } from 'node:crypto'
import type { TestDatabase } from '@nexus/testing'
import { test } from '@nexus/testing/vitest'
import { expect } from 'vitest'
import { underLease } from '../src/maintenance/lease.ts'
import {
  makePartition,
  openLone,
  openPool,
  openRetention,
  openTransaction,
  startReader,
  stateOf,
  waitForDetach,
} from './audit-scene.ts'
import { startCommand } from './broker-command.ts'
import { eventually } from './database-tools.ts'
import { brokerEnvironment, fileKeys } from './harness.ts'

type Pool = TestDatabase['pool']

/** A Broker in a process of its own, which sweeps before anything else. */
function startSweeping(database: Pick<TestDatabase, 'url'>) {
  return startCommand(['serve'], brokerEnvironment(database.url, fileKeys, 0))
}

/** Its statements may outlive a Broker that was killed: PostgreSQL learns of it when it has something to say. */
async function waitForOrphans(pool: Pool): Promise<void> {
  await eventually('the statements of the dead have ended', async () => {
    const { rows } = await pool.query(
      `select from pg_stat_activity
        where datname = current_database() and application_name = 'nexus-broker' and state <> 'idle' and query ~ 'partition|drop'`,
    )
    return rows.length === 0 ? true : undefined
  })
}

/** A minute later, as far as leases can tell. */
async function letLeasesLapse(pool: Pool): Promise<void> {
  const { rowCount } = await pool.query(
    `update maintenance_leases set leased_until = leased_until - interval '1 minute'`,
  )
  expect(rowCount, 'the dead Broker held the lease').toBe(1)
}

test('a Broker that is killed while it detaches leaves a detach that the next one ends', async ({ database }) => {
  const { pool } = database
  const name = await makePartition(pool, 'audit_reads_2020_01_01')
  const reader = await startReader(pool)
  const broker = startSweeping(database)
  await waitForDetach(pool)
  await broker.kill9()
  await waitForOrphans(pool)
  expect(await stateOf(pool, name)).toBe('detaching')

  const next = openRetention(database)
  await reader.end()
  await next.dropOldPartitions()
  expect(await stateOf(pool, name), 'as long as the lease of the dead lasts').toBe('detaching')
  await letLeasesLapse(pool)
  await next.dropOldPartitions()
  expect(await stateOf(pool, name)).toBe('gone')
  expect(next.dropped).toBe(1)
})

test('a Broker that is killed between detaching and dropping leaves a table that the next one drops', async ({
  database,
}) => {
  const { pool } = database
  const name = await makePartition(pool, 'audit_events_2020_01')
  await pool.query(`
    create function wait_before_drop() returns event_trigger language plpgsql as $$ begin perform pg_advisory_xact_lock(4711); end $$;
    create event trigger wait_before_drop on ddl_command_start when tag in ('DROP TABLE') execute function wait_before_drop()`)
  const holder = await openTransaction(pool, 'select pg_advisory_xact_lock(4711)')
  const broker = startSweeping(database)
  await eventually('the Broker is about to drop', async () => {
    const { rows } = await pool.query(
      `select from pg_locks where locktype = 'advisory' and objid = 4711 and not granted`,
    )
    return rows.length > 0 ? true : undefined
  })
  await broker.kill9()
  await waitForOrphans(pool)
  await holder.end()
  await pool.query('drop event trigger wait_before_drop')
  expect(await stateOf(pool, name)).toBe('detached')

  await letLeasesLapse(pool)
  await openRetention(database).dropOldPartitions()
  expect(await stateOf(pool, name)).toBe('gone')
})

test('of two Brokers that sweep at once one works', async ({ database }) => {
  const { pool } = database
  const names = ['audit_reads_2020_02_01', 'audit_reads_2020_02_02']
  for (const name of names) await makePartition(pool, name)
  const [one, other] = [openRetention(database), openRetention(database)]
  const reader = await startReader(pool)
  const dropping = one.dropOldPartitions()
  await waitForDetach(pool)
  await other.dropOldPartitions()
  expect(other.logs.lines(), 'it neither works nor fails').toEqual([])
  await reader.end()
  await dropping
  expect([one.dropped, other.dropped]).toEqual([2, 0])
  for (const name of names) expect(await stateOf(pool, name)).toBe('gone')
})

test('any number of Brokers that sweep again and again drop each partition once', async ({ database }) => {
  const { pool } = database
  const names = Array.from({ length: 10 }, (_, n) => `audit_reads_2020_03_${10 + n}`)
  for (const name of names) await makePartition(pool, name)
  const brokers = Array.from({ length: 4 }, () => openRetention(database))
  for (let n = 0; n < 3; n++) await Promise.all(brokers.map((broker) => broker.dropOldPartitions()))
  expect(brokers.reduce((sum, { dropped }) => sum + dropped, 0)).toBe(names.length)
  expect(brokers.flatMap(({ logs }) => logs.lines()).filter(({ level }) => level === 'warn')).toEqual([])
})

test('two that work at once after all, because one slept longer than its lease, harm nothing', async ({ database }) => {
  const { pool } = database
  const names = ['audit_reads_2020_04_01', 'audit_reads_2020_04_02']
  for (const name of names) await makePartition(pool, name)
  const [one, other] = [openRetention(database), openRetention(database)]
  const reader = await startReader(pool)
  const dropping = one.dropOldPartitions()
  await waitForDetach(pool)
  await letLeasesLapse(pool)
  const alsoDropping = other.dropOldPartitions()
  await eventually('the other one is about to end that detach', async () => {
    const { rows } = await pool.query(
      `select from pg_stat_activity
        where datname = current_database() and query ~ 'finalize' and wait_event_type = 'Lock'`,
    )
    return rows.length > 0 ? true : undefined
  })
  await reader.end()
  await Promise.all([dropping, alsoDropping])
  for (const broker of [one, other]) await broker.dropOldPartitions()
  for (const name of names) expect(await stateOf(pool, name)).toBe('gone')
})

test('a pass stops between two partitions when the Broker ends', async ({ database }) => {
  const { pool } = database
  const names = ['audit_reads_2020_05_01', 'audit_reads_2020_05_02']
  for (const name of names) await makePartition(pool, name)
  const stopping = new AbortController()
  const retention = openRetention(database)
  const reader = await startReader(pool)
  const dropping = retention.dropOldPartitions(stopping.signal)
  await waitForDetach(pool)
  stopping.abort()
  await reader.end()
  await dropping
  expect(await Promise.all(names.map((name) => stateOf(pool, name)))).toEqual(['gone', 'attached'])
  await retention.dropOldPartitions()
  expect(retention.dropped).toBe(2)
})

test('a lease is held by one, for a minute of the database, and given back', async ({ database }) => {
  const { pool } = database
  const brokers = Array.from({ length: 2 }, () => ({ database: openPool(database), owner: randomUUID() }))
  const [one, other] = brokers
  if (one === undefined || other === undefined) throw new Error('there are two')
  const idle = async (): Promise<void> => undefined
  const wasDone = await underLease(one, 'a job', async ({ renew }) => {
    expect(await underLease(other, 'a job', idle)).toBe(false)
    expect(await underLease(other, 'another job', idle)).toBe(true)
    await pool.query(`update maintenance_leases set leased_until = now() + interval '1 second' where job = 'a job'`)
    expect(await renew()).toBe(true)
    const { rows } = await pool.query(
      `select extract(epoch from leased_until - now())::int as left from maintenance_leases`,
    )
    expect(rows).toEqual([{ left: 60 }])
    await pool.query('update maintenance_leases set leased_until = now()')
    expect(
      await underLease(other, 'a job', async () => expect(await renew(), 'it is the other one’s now').toBe(false)),
    ).toBe(true)
  })
  expect(wasDone).toBe(true)
  await expect(underLease(one, 'a job', () => Promise.reject(new Error('failed')))).rejects.toThrow('failed')
  expect((await pool.query('select from maintenance_leases')).rowCount).toBe(0)
})

test('nothing is dropped that is somebody else’s, however alike it looks', async ({ database }) => {
  const { pool } = database
  const mark = `is 'nexus: over, detached in order to be dropped'`
  // like ours in name and shape, but never detached by us
  await pool.query('create table audit_reads_2019_01_01 (like audit_reads including all)')
  // detached by an operator, to be kept
  const archived = await makePartition(pool, 'audit_reads_2019_01_02')
  await pool.query(`alter table audit_reads detach partition ${archived}`)
  // ours in all but the name, the schema, the kind, or because it belongs to another table now
  await pool.query(`create table audit_archive (like audit_reads); comment on table audit_archive ${mark}`)
  await pool.query('create schema elsewhere; create table elsewhere.audit_reads_2019_01_03 (like audit_reads)')
  await pool.query(`comment on table elsewhere.audit_reads_2019_01_03 ${mark}`)
  await pool.query(`create table audit_reads_2019_01_04 () inherits (audit_archive)`)
  await pool.query(`comment on table audit_reads_2019_01_04 ${mark}`)
  // attached by an operator, under a name of its own
  await pool.query('create table old_reads (like audit_reads including all)')
  await pool.query(
    `alter table audit_reads attach partition old_reads for values from ('2018-01-01') to ('2018-02-01')`,
  )
  // what is left of a limit that was shorter once
  const young = `audit_events_${new Date(Date.now() - 62 * 86_400_000).toISOString().slice(0, 7).replace('-', '_')}`
  await pool.query(`create table ${young} (like audit_events); comment on table ${young} ${mark}`)

  const before = await listTables(pool)
  const retention = openRetention(database)
  // something must go, so that the pass goes through with it all
  await makePartition(pool, 'audit_reads_2019_03_01')
  await retention.dropOldPartitions()
  expect(retention.dropped).toBe(1)
  expect(await listTables(pool)).toEqual(before)
  expect(retention.logs.lines().filter(({ level }) => level === 'warn')).toEqual([])
})

test('a detach that an operator began is ended, and the table kept', async ({ database }) => {
  const { pool } = database
  const name = await makePartition(pool, 'audit_events_2019_06')
  const reader = await startReader(pool, 'audit_events')
  const operator = openLone(database, 50)
  const detaching = operator.query({
    text: `alter table audit_events detach partition ${name} concurrently`,
    values: [],
  })
  await expect(detaching).rejects.toMatchObject({ code: 'unavailable' })
  await reader.end()
  expect(await stateOf(pool, name)).toBe('detaching')
  const retention = openRetention(database)
  await retention.dropOldPartitions()
  expect(await stateOf(pool, name)).toBe('detached')
  expect(retention.dropped).toBe(0)
})

async function listTables(pool: Pool): Promise<readonly string[]> {
  const { rows } = await pool.query<{ name: string }>(
    `select oid::regclass::text as name from pg_class
      where relkind in ('r', 'p') and relnamespace in ('public'::regnamespace, 'elsewhere'::regnamespace) order by 1`,
  )
  return rows.map(({ name }) => name)
}
