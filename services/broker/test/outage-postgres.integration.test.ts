import { migrateDatabase, startTcpProxy, startTemporaryCluster } from '@nexus/testing'
import { expect, onTestFinished, test as plain } from 'vitest'
import { openPlainConnection } from './connection-scene.ts'
import { eventually, setSecondsLeft } from './database-tools.ts'
import { type Answer, type TestBroker, makeKeys, readToken, spawnTestBroker, startTestBroker } from './harness.ts'
import { test } from './handshake-scene.ts'

const timeout = 90_000

/** Sixteen callers who never stop asking, each for something else in turn. */
function startLoad(broker: Pick<TestBroker, 'get' | 'post'>, ids: readonly string[]) {
  const given: { readonly path: string; readonly answer: Answer }[] = []
  const over = new AbortController()
  const paths = ids.flatMap((id) => [`/connections/${id}/token`, `/connections/${id}`, '/connections?limit=5'])
  const call = async (start: number): Promise<void> => {
    for (let n = start; !over.signal.aborted; n++) {
      const path = paths[n % paths.length] ?? ''
      given.push({ path, answer: await broker.get(path) })
    }
  }
  const callers = Array.from({ length: 16 }, (_, n) => call(n))
  const count = (status: number, from: number) =>
    given.slice(from).filter(({ answer }) => answer.status === status).length
  return {
    given,
    /** Waits for so many further answers of a status. */
    waitFor: (status: number, further: number) => {
      const from = given.length
      return eventually(`${further} answers ${status}`, () => count(status, from) >= further || undefined, 60_000)
    },
    end: async () => {
      over.abort()
      await Promise.all(callers)
    },
  }
}

plain('[R4] PostgreSQL crashes under load and returns: 200s and 503s only, and no restart', { timeout }, async () => {
  await using cluster = await startTemporaryCluster()
  const url = cluster.url('postgres')
  await migrateDatabase(url)
  await using broker = await spawnTestBroker({ url }, { keys: makeKeys() })
  const ids = [(await openPlainConnection(broker)).id, (await openPlainConnection(broker)).id]
  const load = startLoad(broker, ids)
  for (let round = 1; round <= 2; round++) {
    await load.waitFor(200, 100)
    await cluster.stop('immediate')
    await load.waitFor(503, 100)
    expect((await broker.get('/health')).status, 'it lives').toBe(200)
    expect(await broker.get('/health/ready')).toMatchObject({ status: 503, body: { postgres: 'away' } })
    await cluster.start()
    await load.waitFor(200, 100)
  }
  await load.end()

  const others = load.given.filter(({ answer }) => answer.status !== 200 && answer.status !== 503)
  expect(others.map(({ path, answer }) => `${path}: ${answer.status} ${answer.text}`)).toEqual([])
  for (const { path, answer } of load.given.filter((one) => one.answer.status === 503)) {
    expect(answer.body, path).toMatchObject({ code: 'unavailable' })
    expect(Number(answer.headers.get('retry-after')), path).toBeGreaterThan(0)
    expect(answer.text).not.toContain('access_token')
  }
  expect((await broker.get('/health/ready')).status).toBe(200)
  expect(await broker.stop()).toEqual({ exitCode: 0, signal: null })
})

plain('[R4] no answer is wrong while PostgreSQL is away: what exists is never 404', { timeout }, async () => {
  await using cluster = await startTemporaryCluster()
  const url = cluster.url('postgres')
  await migrateDatabase(url)
  await using broker = await startTestBroker({ url }, { keys: makeKeys() })
  const { id, provider } = await openPlainConnection(broker)
  await cluster.stop('immediate')
  const asked = [
    await readToken(broker, id),
    await broker.post(`/connections/${id}/refresh`),
    await broker.get(`/connections/${id}`),
    await broker.get('/connections'),
    await broker.get('/providers'),
    await broker.get('/providers/metadata'),
    await broker.get(`/providers/${provider.providerId}`),
    await broker.get(`/providers/by-name/${provider.name}`),
    await broker.send('PATCH', `/providers/${provider.providerId}`, { body: { category: 'x' } }),
    await broker.send('DELETE', `/providers/${provider.providerId}`),
    await broker.post('/auth/consent-spec', { workspace_id: 'u', provider_name: provider.name }),
    await broker.get('/audit'),
  ]
  for (const answer of asked) {
    expect(answer).toMatchObject({ status: 503, body: { code: 'unavailable' } })
    expect(answer.headers.get('retry-after')).not.toBeNull()
  }
  expect((await broker.get('/metrics')).status, 'metrics need no database').toBe(200)
  await cluster.start()
  expect((await broker.get(`/providers/${provider.providerId}`)).body).not.toHaveProperty('category')
  expect((await readToken(broker, id)).status).toBe(200)
})

test('[R4] connections that are cut under load cost a retry, never a wrong answer', async ({ database, broker }) => {
  const { id } = await openPlainConnection(broker)
  await setSecondsLeft(database.pool, id, 3000)
  await using proxy = await startTcpProxy({ port: Number(new URL(database.url).port) })
  await using cutOff = await startTestBroker({ url: proxy.url(database.url) })
  const load = startLoad(cutOff, [id])
  onTestFinished(() => load.end())
  for (let round = 0; round < 5; round++) {
    await load.waitFor(200, 20)
    proxy.cutAll()
  }
  await proxy.refuse()
  await load.waitFor(503, 20)
  await proxy.accept()
  await load.waitFor(200, 50)
  await load.end()
  expect(new Set(load.given.map(({ answer }) => answer.status))).toEqual(new Set([200, 503]))
})
