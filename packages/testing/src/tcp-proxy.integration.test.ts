import { once } from 'node:events'
import pg from 'pg'
import { expect, inject, onTestFinished } from 'vitest'
import { startTcpProxy, type TcpProxy } from './tcp-proxy.ts'
import { test } from './vitest-fixtures.ts'

async function startProxy(): Promise<TcpProxy> {
  const proxy = await startTcpProxy({ port: Number(new URL(inject('postgresUrl')).port) })
  onTestFinished(() => proxy[Symbol.asyncDispose]())
  return proxy
}

async function connect(proxy: TcpProxy, url: string): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: proxy.url(url) })
  client.on('error', () => undefined)
  await client.connect()
  onTestFinished(() => client.end())
  return client
}

test('a lost COMMIT acknowledgement: the client sees an error, the row is there', async ({ emptyDatabase }) => {
  await emptyDatabase.pool.query('create table lost(a int)')
  const proxy = await startProxy()
  const client = await connect(proxy, emptyDatabase.url)
  await client.query('begin')
  await client.query('insert into lost values (1)')
  const cut = proxy.cutOnPattern('to-client', 'COMMIT\0')
  await expect(client.query('commit')).rejects.toThrow('Connection terminated')
  await cut.happened
  const { rows } = await emptyDatabase.pool.query('select * from lost')
  expect(rows).toHaveLength(1)
  await expect((await connect(proxy, emptyDatabase.url)).query('select 1')).resolves.toBeDefined()
})

test('a COMMIT that never arrives: the row is not there', async ({ emptyDatabase }) => {
  await emptyDatabase.pool.query('create table unsent(a int)')
  const proxy = await startProxy()
  const client = await connect(proxy, emptyDatabase.url)
  await client.query('begin')
  await client.query('insert into unsent values (1)')
  proxy.cutOnPattern('to-server', 'commit')
  await expect(client.query('commit')).rejects.toThrow('Connection terminated')
  const { rows } = await emptyDatabase.pool.query('select * from unsent')
  expect(rows).toHaveLength(0)
})

test('refuse cuts what is open and refuses what is new, until accept', async ({ emptyDatabase }) => {
  const proxy = await startProxy()
  const client = await connect(proxy, emptyDatabase.url)
  expect(proxy.openConnections()).toBe(1)
  const lost = once(client, 'error')
  await proxy.refuse()
  await lost
  await expect(client.query('select 1')).rejects.toThrow('not queryable')
  await expect(connect(proxy, emptyDatabase.url)).rejects.toThrow('ECONNREFUSED')
  await proxy.accept()
  await expect((await connect(proxy, emptyDatabase.url)).query('select 1')).resolves.toBeDefined()
})

test('what is paused arrives after resume, old connections and new', async ({ emptyDatabase }) => {
  const proxy = await startProxy()
  const client = await connect(proxy, emptyDatabase.url)
  proxy.pause()
  const states = { query: 'waiting', connection: 'waiting' }
  const query = client.query('select 1').then(() => (states.query = 'done'))
  const connection = connect(proxy, emptyDatabase.url).then(() => (states.connection = 'done'))
  // a round trip past the proxy: time enough for the others, were they not held back
  await emptyDatabase.pool.query('select pg_sleep(0.1)')
  expect(states).toEqual({ query: 'waiting', connection: 'waiting' })
  proxy.resume()
  await Promise.all([query, connection])
})

test('a cut after so many bytes delivers exactly those', async ({ emptyDatabase }) => {
  const proxy = await startProxy()
  const client = await connect(proxy, emptyDatabase.url)
  const cut = proxy.cutAfterBytes('to-client', 50_000)
  await expect(client.query("select repeat('x', 100000)")).rejects.toThrow('Connection terminated')
  await cut.happened
})

test('a cancelled cut does not happen', async ({ emptyDatabase }) => {
  const proxy = await startProxy()
  const client = await connect(proxy, emptyDatabase.url)
  proxy.cutOnPattern('to-server', 'select').cancel()
  await expect(client.query('select 1')).resolves.toBeDefined()
})
