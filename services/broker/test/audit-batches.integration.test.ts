import { createTestDatabase, startTemporaryCluster } from '@nexus/testing'
import { expect, test } from 'vitest'
import { openPlainConnection } from './connection-scene.ts'
import { eventually, waitForBlocked, whileLocked } from './database-tools.ts'
import { readToken, startTestBroker } from './harness.ts'

type Statement = { readonly query: string; readonly calls: number }

test('[A1] reads that arrive together share two statements: one look and one insert', async () => {
  await using cluster = await startTemporaryCluster({ shared_preload_libraries: 'pg_stat_statements' })
  const database = await createTestDatabase(cluster.url('postgres'))
  await using _ = { [Symbol.asyncDispose]: database.drop }
  await database.pool.query('create extension pg_stat_statements')
  await using broker = await startTestBroker(database)
  const ids = await Promise.all(Array.from({ length: 4 }, () => openPlainConnection(broker).then(({ id }) => id)))
  // the Broker writes last_used_at aside and in its own time; each row at most once a minute
  await Promise.all(ids.map((id) => readToken(broker, id)))
  await eventually('uses are written', async () => {
    const { rows } = await database.pool.query('select from connections where last_used_at is not null')
    return rows.length === ids.length || undefined
  })

  await database.pool.query('select pg_stat_statements_reset()')
  const answers = await whileLocked(database.pool, 'lock table audit_reads in share mode', async () => {
    // two batches take both places; whoever comes then waits for the next one
    const first = readToken(broker, ids[0] ?? '')
    await waitForBlocked(database.pool, 1)
    const second = readToken(broker, ids[1] ?? '')
    await waitForBlocked(database.pool, 2)
    const others = Array.from({ length: 40 }, (_, n) => readToken(broker, ids[n % ids.length] ?? ''))
    await broker.get('/health')
    return { all: Promise.all([first, second, ...others]) }
  })
  expect((await answers.all).map(({ status }) => status)).toEqual(Array.from({ length: 42 }, () => 200))

  const { rows } = await database.pool.query<Statement>(
    `select query, calls::int from pg_stat_statements
      where query ~ '\\m(tokens|audit_reads|connections)\\M' and query !~ 'pg_stat|lock table'`,
  )
  const looks = rows.filter(({ query }) => query.includes('t.credentials as') && query.includes('as asked (id)'))
  const inserts = rows.filter(({ query }) => query.includes('insert into audit_reads'))
  expect(looks).toHaveLength(1)
  expect(inserts).toHaveLength(1)
  // what goes on in the background asks seldom; a statement for each read would have been asked 42 times
  const others = rows.filter((row) => !looks.includes(row) && !inserts.includes(row))
  expect(others.filter(({ calls }) => calls > 20)).toEqual([])
  expect(looks[0]?.calls, 'as many looks as inserts').toBe(inserts[0]?.calls)
  // two lone reads and one batch; latecomers may have needed another
  expect(looks[0]?.calls).toBeLessThanOrEqual(6)
})
