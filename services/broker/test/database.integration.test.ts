import { answers, createBrowser } from '@nexus/testing'
import { expect } from 'vitest'
import { openDatabase } from '../src/db/database.ts'
import { sql } from '../src/db/sql.ts'
import { openPlainConnection } from './connection-scene.ts'
import { eventually, expectNoTransaction, whileLocked } from './database-tools.ts'
import { isApp, readToken, requestConnection, startTestBroker } from './harness.ts'
import { openProvider, test } from './handshake-scene.ts'

test('[R8] no transaction is open while a provider is asked', async ({ database, broker }) => {
  const { id, provider } = await openPlainConnection(broker)
  const refreshGate = answers.createGate('before')
  provider.next('token', refreshGate.step)
  const refreshing = broker.post(`/connections/${id}/refresh`)
  await refreshGate.arrived
  await expectNoTransaction(database.pool, 'a refresh')
  refreshGate.open()
  expect((await refreshing).status).toBe(200)

  const exchangeGate = answers.createGate('before')
  provider.next('token', exchangeGate.step)
  const { authUrl } = await requestConnection(broker, { provider_name: provider.name })
  const arriving = createBrowser().open(authUrl, { stopAt: isApp })
  await exchangeGate.arrived
  await expectNoTransaction(database.pool, 'a code exchange')
  exchangeGate.open()
  expect((await arriving).url.searchParams.get('status')).toBe('success')

  const other = await openProvider(broker)
  const discoveryGate = answers.createGate('before')
  other.next('discovery', discoveryGate.step)
  const saving = broker.send('POST', '/providers', {
    body: { name: 'asks-first', issuer: other.issuer, client_id: 'x', issuer_template: `${other.issuer}/{tenantid}` },
  })
  await discoveryGate.arrived
  await expectNoTransaction(database.pool, 'the request for metadata')
  discoveryGate.open()
  expect((await saving).status).toBe(201)
})

test('[R8] a pool that is exhausted answers 503 at once to whoever would wait in vain', async ({
  database,
  broker,
}) => {
  const { id } = await openPlainConnection(broker)
  await using small = await startTestBroker(database, { env: { DATABASE_POOL_MAX: '2' } })
  const held = await whileLocked(database.pool, 'lock table connections in access exclusive mode', async () => {
    const asking = Array.from({ length: 560 }, () => small.get(`/connections/${id}`))
    const refusals: string[] = []
    for (const asked of asking) void asked.then(({ text }) => refusals.push(text))
    await eventually('those beyond the queue are refused', () => refusals[0])
    expect(refusals[0], 'not those who waited their time').toContain('overloaded')
    expect((await small.get('/health')).status, 'the process answers').toBe(200)
    return { asking }
  })
  const given = await Promise.all(held.asking)
  expect(new Set(given.map(({ status }) => status))).toEqual(new Set([200, 503]))
  for (const answer of given.filter(({ status }) => status === 503)) {
    expect(answer.body).toMatchObject({ code: 'unavailable' })
    expect(answer.headers.get('retry-after')).not.toBeNull()
  }
  expect((await small.get(`/connections/${id}`)).status, 'and afterwards all is well').toBe(200)
})

test('[R8] a statement that takes too long is ended and answered 503', async ({ database, broker }) => {
  const { id } = await openPlainConnection(broker)
  await using hasty = await startTestBroker(database, { env: { DATABASE_STATEMENT_TIMEOUT_MS: '200' } })
  await whileLocked(database.pool, 'lock table connections in access exclusive mode', async () => {
    expect(await hasty.get(`/connections/${id}`)).toMatchObject({ status: 503, body: { code: 'unavailable' } })
    expect(await readToken(hasty, id)).toMatchObject({ status: 503, body: { code: 'unavailable' } })
  })
  expect((await readToken(hasty, id)).status).toBe(200)
})

test('sessions are set up as the design says, whatever the server defaults to', async ({ emptyDatabase }) => {
  await emptyDatabase.pool.query(
    `alter database ${emptyDatabase.name} set synchronous_commit = off; alter database ${emptyDatabase.name} set timezone = 'Asia/Tokyo'`,
  )
  const database = openDatabase({
    url: emptyDatabase.url,
    maxConnections: 1,
    statementTimeoutMs: 1234,
    applicationName: 'nexus-test',
    keepsPrepared: true,
    onIdleError: () => undefined,
  })
  await using _ = { [Symbol.asyncDispose]: () => database.close() }
  const [session] = await database.query(sql`
    select current_setting('synchronous_commit') as commit, current_setting('timezone') as zone,
           current_setting('statement_timeout') as statement, current_setting('idle_in_transaction_session_timeout') as idle,
           current_setting('application_name') as name`)
  expect(session).toEqual({ commit: 'on', zone: 'UTC', statement: '1234ms', idle: '1234ms', name: 'nexus-test' })
})

test('a transaction that fails leaves nothing behind, and its connection is used again', async ({ emptyDatabase }) => {
  const database = openDatabase({
    url: emptyDatabase.url,
    maxConnections: 1,
    statementTimeoutMs: 5_000,
    applicationName: 'nexus-test',
    keepsPrepared: true,
    onIdleError: () => undefined,
  })
  await using _ = { [Symbol.asyncDispose]: () => database.close() }
  await database.query(sql`create table things (n integer)`)
  const failing = database.transaction(async (transaction) => {
    await transaction.query(sql`insert into things values (1)`)
    throw new Error('the work failed')
  })
  await expect(failing).rejects.toThrow('the work failed')
  const inSql = database.transaction((transaction) => transaction.query(sql`select 1 / 0`))
  await expect(inSql).rejects.toMatchObject({ code: '22012' })
  expect(await database.query(sql`select * from things`)).toEqual([])
  expect(database.connections()).toBe(1)
  await database.transaction((transaction) => transaction.query(sql`insert into things values (2)`))
  expect(await database.query(sql`select n from things`)).toEqual([{ n: 2 }])
})
