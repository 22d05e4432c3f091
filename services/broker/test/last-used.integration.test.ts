import { randomUUID } from 'node:crypto'
import { createLogger } from '@nexus/service'
import { type TestDatabase, captureLogs, createManualClock } from '@nexus/testing'
import { afterEach, beforeEach, expect, vi } from 'vitest'
import { noteConnectionUses } from '../src/connections/note-uses.ts'
import { createLastUsed } from '../src/db/last-used.ts'
import { openDatabase } from '../src/db/database.ts'
import { whileLocked } from './database-tools.ts'
import { test } from './refresh-scene.ts'

type Pool = TestDatabase['pool']

beforeEach(() => void vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] }))
afterEach(() => void vi.useRealTimers())

const nextFlush = (): void => void vi.advanceTimersByTime(5_000)

function openScene({ url }: Pick<TestDatabase, 'url'>) {
  const resources = new AsyncDisposableStack()
  const database = openDatabase({
    url,
    maxConnections: 2,
    statementTimeoutMs: 10_000,
    applicationName: 'nexus-broker',
    keepsPrepared: true,
    onIdleError: () => undefined,
  })
  resources.defer(() => database.close())
  const logger = createLogger({ level: 'trace', service: 'test', destination: captureLogs() })
  const { now, advance } = createManualClock()
  const lastUsed = resources.use(createLastUsed({ logger, now, write: (uses) => noteConnectionUses(database, uses) }))
  return { note: lastUsed.note, advance, [Symbol.asyncDispose]: () => resources.disposeAsync() }
}

async function insertConnections(pool: Pool, count: number): Promise<readonly string[]> {
  const ids = Array.from({ length: count }, () => randomUUID())
  const [providerId, name] = [randomUUID(), randomUUID()]
  await pool.query(`insert into provider_profiles (id, name, auth_type, settings) values ($1, $2, 'oauth2', '{}')`, [
    providerId,
    name,
  ])
  await pool.query(
    `insert into connections (id, zone, workspace_id, provider_id, status, scopes, metadata, pending_until)
     select id, 'root', 'user-1', $2, 'active', '{}', '{}', now() from unnest($1::uuid[]) as id`,
    [ids, providerId],
  )
  return ids
}

async function readSecondsAgo(pool: Pool, ids: readonly string[]): Promise<readonly (number | null)[]> {
  const { rows } = await pool.query<{ ago: number | null }>(
    `select extract(epoch from now() - c.last_used_at)::float8 as ago
       from unnest($1::uuid[]) with ordinality as asked (id, place) join connections c using (id) order by place`,
    [ids],
  )
  return rows.map(({ ago }) => ago)
}

async function countWritten(pool: Pool, ids: readonly string[]): Promise<number> {
  return (await readSecondsAgo(pool, ids)).filter((ago) => ago !== null).length
}

test('uses of very many connections are written a bounded number at a time, the longest waiting first', async ({
  database,
}) => {
  const { pool } = database
  const ids = await insertConnections(pool, 2_500)
  await using scene = openScene(database)
  for (const id of ids) scene.note(id)
  // used again while it waits, it keeps its place
  for (const id of ids.slice(0, 1_000)) scene.note(id)
  for (const written of [1_000, 2_000, 2_500]) {
    nextFlush()
    await expect.poll(() => countWritten(pool, ids)).toBe(written)
    expect(await countWritten(pool, ids.slice(0, written))).toBe(written)
  }
})

test('what had to wait is written with the time of its latest use', async ({ database }) => {
  const { pool } = database
  const [first = '', second = ''] = await insertConnections(pool, 2)
  await using scene = openScene(database)
  scene.note(first)
  scene.note(second)
  scene.advance(1_000_000)
  scene.note(second)
  scene.advance(20_000)
  nextFlush()
  await expect.poll(() => countWritten(pool, [first, second])).toBe(2)
  const [firstAgo, secondAgo] = await readSecondsAgo(pool, [first, second])
  expect(firstAgo).toBeGreaterThan(1_019)
  expect(firstAgo).toBeLessThan(1_050)
  expect(secondAgo).toBeGreaterThan(19)
  expect(secondAgo).toBeLessThan(50)
})

test('a row is written once a minute at most, whichever Broker does, and its time never goes back', async ({
  database,
}) => {
  const { pool } = database
  const [recent = '', later = '', mark = ''] = await insertConnections(pool, 3)
  await using one = openScene(database)
  await using other = openScene(database)
  for (const id of [recent, later]) one.note(id)
  nextFlush()
  await expect.poll(() => countWritten(pool, [recent, later])).toBe(2)
  await pool.query(`update connections set last_used_at = last_used_at - interval '40 seconds' where id = $1`, [recent])

  // this Broker remembers its own write, and the other finds it
  one.note(recent)
  other.note(later)
  other.advance(600_000)
  for (const id of [recent, mark]) other.note(id)
  nextFlush()
  await expect.poll(() => countWritten(pool, [mark])).toBe(1)
  const [recentAgo, laterAgo] = await readSecondsAgo(pool, [recent, later])
  expect(recentAgo).toBeGreaterThan(39)
  expect(laterAgo, 'the other notes an older use').toBeLessThan(30)
})

test('a row that somebody holds is passed over, and holds nothing up', async ({ database }) => {
  const { pool } = database
  const [held = '', free = ''] = await insertConnections(pool, 2)
  await using scene = openScene(database)
  await whileLocked(pool, `select from connections where id = '${held}' for update`, async () => {
    for (const id of [held, free]) scene.note(id)
    nextFlush()
    await expect.poll(() => countWritten(pool, [free])).toBe(1)
  })
  expect(await countWritten(pool, [held])).toBe(0)
})
