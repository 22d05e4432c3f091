import { randomUUID } from 'node:crypto'
import { createLogger } from '@nexus/service'
import { type TestDatabase, captureLogs } from '@nexus/testing'
import { onTestFinished } from 'vitest'
import { systemOrigin } from '../src/audit/audit-event.ts'
import { dayPartition, monthPartition, partitionNamed } from '../src/audit/partition-calendar.ts'
import { recordEvent } from '../src/audit/record-event.ts'
import { recordReads } from '../src/audit/record-reads.ts'
import { createAuditRetention } from '../src/audit/retention.ts'
import { type Database, type Queryable, openDatabase } from '../src/db/database.ts'
import { createLoneConnections } from '../src/db/lone-connections.ts'
import { eventually } from './database-tools.ts'

type Pool = TestDatabase['pool']
type Named = Pick<TestDatabase, 'url'>

/** The product's own pool, closed when the test ends. */
export function openPool({ url }: Named, maxConnections = 2): Database {
  const database = openDatabase({
    url,
    maxConnections,
    statementTimeoutMs: 10_000,
    applicationName: 'nexus-broker',
    keepsPrepared: true,
    onIdleError: () => undefined,
  })
  onTestFinished(() => database.close())
  return database
}

/** Statements on connections of their own, which give up after waiting so long for a lock. */
export function openLone({ url }: Named, lockTimeoutMs: number): Queryable {
  return createLoneConnections({ url, applicationName: 'nexus-broker', statementTimeoutMs: 10_000, lockTimeoutMs })
}

/** The retention of one Broker, as it is composed there. */
export function openRetention(database: Named, days: { readonly events?: number; readonly reads?: number } = {}) {
  const logs = captureLogs()
  const scene = { dropped: 0, logs, owner: randomUUID(), pool: openPool(database) }
  const retention = createAuditRetention({
    database: scene.pool,
    lone: openLone(database, 2_000),
    owner: scene.owner,
    logger: createLogger({ level: 'trace', service: 'test', destination: logs }),
    retentionDays: { audit_events: days.events ?? 400, audit_reads: days.reads ?? 30 },
    countDropped: () => (scene.dropped += 1),
  })
  return Object.assign(scene, retention)
}

/** Attaches the partition of the day or month that `name` says, with one record in it. */
export async function makePartition(pool: Pool, name: string): Promise<string> {
  const partition = partitionNamed(name)
  if (partition === undefined) throw new Error(`${name} is no name of a partition`)
  const { table, from, to } = partition
  await pool.query(`create table ${name} (like ${table} including all)`)
  await pool.query(
    `alter table ${table} attach partition ${name} for values from ('${from.toISOString()}') to ('${to.toISOString()}')`,
  )
  await insertRecord(pool, name, from)
  return name
}

export async function insertRecord(pool: Pool, table: string, at: Date): Promise<void> {
  await pool.query(
    `insert into ${table} (id, at, event, outcome, actor_kind) values ($1, $2, 'old', 'success', 'system')`,
    [randomUUID(), at],
  )
}

/** The partitions of a number of days or months ago. */
export const dayAgo = (days: number): string => dayPartition(new Date(Date.now() - days * 86_400_000)).name
export const monthAgo = (days: number): string => monthPartition(new Date(Date.now() - days * 86_400_000)).name

export type TableState = 'attached' | 'detaching' | 'detached' | 'gone'

/** How far a partition is on its way out. */
export async function stateOf(pool: Pool, name: string): Promise<TableState> {
  const { rows } = await pool.query<{ state: TableState }>(
    `select case when i.inhrelid is null then 'detached' when i.inhdetachpending then 'detaching' else 'attached' end as state
       from pg_class c left join pg_inherits i on i.inhrelid = c.oid where c.oid = to_regclass($1)`,
    [name],
  )
  return rows[0]?.state ?? 'gone'
}

/** A transaction that has done `statement` and stays open until it is told to end, or the test ends. */
export async function openTransaction(pool: Pool, statement: string) {
  const client = await pool.connect()
  let isOpen = true
  const end = async (): Promise<void> => {
    if (!isOpen) return
    isOpen = false
    await client.query('rollback')
    client.release()
  }
  onTestFinished(end)
  await client.query('begin')
  await client.query(statement)
  return { end }
}

/** Somebody who reads for a long time. */
export function startReader(pool: Pool, table = 'audit_reads') {
  return openTransaction(pool, `select count(*) from ${table}`)
}

/** Waits until a detach stands before the transactions that may still see its partition. */
export async function waitForDetach(pool: Pool): Promise<void> {
  await eventually('a detach waits', async () => {
    const { rows } = await pool.query(
      `select from pg_stat_activity
        where datname = current_database() and query ~ 'detach partition' and wait_event = 'virtualxid'`,
    )
    return rows.length > 0 ? true : undefined
  })
}

/** Longer than that no record may wait for a lock. */
const patienceMs = 250

/**
 * Records events and reads without a pause, with the product's own statements, in sessions that fail as soon as one has
 * waited for a lock: what counts is the waiting, however slow the machine.
 */
export function keepRecording({ url }: Named) {
  const impatient = openPool({ url: `${url}?options=-c%20lock_timeout%3D${patienceMs}` }, 6)
  const over = new AbortController()
  const failures: unknown[] = []
  let recorded = 0
  const repeat = async (record: () => Promise<unknown>): Promise<void> => {
    try {
      for (; !over.signal.aborted; recorded++) await record()
    } catch (error) {
      failures.push(error instanceof Error ? (error.cause ?? error) : error)
    }
  }
  const event = { event: 'oauth_error', outcome: 'success', origin: systemOrigin } as const
  const read = { providerId: null, zone: null, tokenVersion: null, outcome: 'not_found', origin: systemOrigin }
  const writers = [
    ...Array.from({ length: 2 }, () => repeat(() => recordEvent(impatient, randomUUID(), event))),
    ...Array.from({ length: 2 }, () =>
      repeat(() =>
        recordReads(impatient, new Date().toISOString(), [{ ...read, id: randomUUID(), connectionId: randomUUID() }]),
      ),
    ),
  ]
  const end = async (): Promise<void> => {
    over.abort()
    await Promise.all(writers)
  }
  onTestFinished(end)
  return {
    failures,
    /** Waits until some more were recorded. */
    waitForMore: (more = 20) => {
      const from = recorded
      return eventually('more is recorded', () => recorded >= from + more || failures.length > 0 || undefined)
    },
    end,
  }
}
