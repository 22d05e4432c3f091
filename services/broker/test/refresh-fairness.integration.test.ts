import { type TestDatabase, answers } from '@nexus/testing'
import { expect } from 'vitest'
import { systemOrigin } from '../src/audit/audit-event.ts'
import { setSecondsLeft, tokenRow } from './database-tools.ts'
import { readToken } from './harness.ts'
import {
  createTurnstile,
  hookStatements,
  letLoopPass,
  makeAbandoned,
  makeDue,
  openConnections,
  readMetric,
  startLoopingBroker,
  test,
  waitForVersion,
} from './refresh-scene.ts'
import { openRefresher } from './refresher-scene.ts'

type Pool = TestDatabase['pool']

test('a provider never has more than REFRESH_CONCURRENCY at once, loop and callers together', async ({
  quiet,
  database,
}) => {
  const { pool } = database
  const { provider, ids } = await openConnections(quiet, 16)
  const [due, asked] = [ids.slice(0, 8), ids.slice(8)]
  const turnstile = createTurnstile()
  provider.always('token', turnstile.step)
  await makeDue(pool, due)
  await using looping = await startLoopingBroker(database, { REFRESH_CONCURRENCY: '3' })
  await turnstile.waitFor(3)
  const asking = asked.map((id) => looping.post(`/connections/${id}/refresh`))
  for (let left = ids.length; left > 0; left--) {
    await turnstile.waitFor(Math.min(3, left))
    turnstile.letOneThrough()
  }
  for (const answer of await Promise.all(asking)) expect(answer.status).toBe(200)
  for (const id of due) await waitForVersion(pool, id, 2)
  expect(turnstile.mostAtOnce()).toBe(3)
  expect(provider.counts()).toMatchObject({ refreshRequests: 16, mostConcurrentRefreshes: 1 })
})

test('a caller who takes the last slot while the loop claims is not joined there by what it claimed', async ({
  quiet,
  database,
}) => {
  const { pool } = database
  const { provider, ids } = await openConnections(quiet, 2)
  const [due = '', asked = ''] = ids
  await makeDue(pool, due)
  const claimed = Promise.withResolvers<void>()
  const goOn = Promise.withResolvers<void>()
  await using refresher = await openRefresher(database, {
    env: { REFRESH_ENABLED: 'true', REFRESH_CONCURRENCY: '1' },
    database: hookStatements(async ({ name }) => {
      if (name !== 'claim-due-tokens') return
      claimed.resolve()
      await goOn.promise
    }),
  })
  const turnstile = createTurnstile()
  provider.always('token', turnstile.step)
  await refresher.start()
  await claimed.promise
  const asking = refresher.refreshConnection(asked, systemOrigin, 20_000)
  await turnstile.waitFor(1)
  goOn.resolve()
  await expect.poll(() => isLeased(pool, due), { message: 'the claim is given back' }).toBe(false)
  turnstile.open()
  await asking
  await waitForVersion(pool, due, 2)
  expect(turnstile.mostAtOnce()).toBe(1)
})

async function isLeased(pool: Pool, id: string): Promise<boolean | undefined> {
  const { rows } = await pool.query<{ leased: boolean }>(
    'select lease_until is not null as leased from tokens where connection_id = $1',
    [id],
  )
  return rows[0]?.leased
}

test('what a dead Broker left behind is presented under the same limit', async ({ quiet, database }) => {
  const { pool } = database
  const { provider, ids } = await openConnections(quiet, 10, { refreshTokens: 'constant' })
  const turnstile = createTurnstile()
  provider.always('token', turnstile.step)
  await makeAbandoned(pool, ids.slice(0, 6))
  await makeDue(pool, ids.slice(6))
  await using _looping = await startLoopingBroker(database, { REFRESH_CONCURRENCY: '2' })
  for (let left = ids.length; left > 0; left--) {
    await turnstile.waitFor(Math.min(2, left))
    turnstile.letOneThrough()
  }
  for (const id of ids) await waitForVersion(pool, id, 2)
  expect(turnstile.mostAtOnce()).toBe(2)
})

test('of many providers that are due none waits behind another, however much is due at it', async ({
  quiet,
  database,
}) => {
  const { pool } = database
  const greedy = await openConnections(quiet, 10)
  const modest = [await openConnections(quiet, 1), await openConnections(quiet, 1)]
  const turnstile = createTurnstile()
  greedy.provider.always('token', turnstile.step)
  // longer due than the others, and never answered while they are refreshed
  await makeDue(pool, greedy.ids, 3_000)
  for (const { ids } of modest) await makeDue(pool, ids)
  await using _looping = await startLoopingBroker(database, { REFRESH_CONCURRENCY: '2' })
  await turnstile.waitFor(2)
  for (const { ids } of modest) await waitForVersion(pool, ids[0] ?? '', 2)
  await letLoopPass(quiet, pool)
  expect(greedy.provider.counts().refreshRequests, 'it hangs still, with what it may have').toBe(2)
  turnstile.open()
  for (const id of greedy.ids) await waitForVersion(pool, id, 2)
})

test('five failures in a row open the circuit; others are refreshed, and callers are told when to come again', async ({
  quiet,
  database,
}) => {
  const { pool } = database
  const { provider, ids } = await openConnections(quiet, 20)
  provider.always('token', answers.serverError(503))
  await makeDue(pool, ids, 60)
  await using looping = await startLoopingBroker(database, { REFRESH_CONCURRENCY: '1' })
  await expect.poll(() => readMetric(looping, 'nexus_refresh_open_breakers')).toBe(1)
  await letLoopPass(quiet, pool)
  expect(provider.counts().refreshRequests).toBeGreaterThanOrEqual(5)
  expect(provider.counts().refreshRequests, 'with one try, where this took that long').toBeLessThanOrEqual(6)
  const named = await readMetric(looping, 'nexus_refresh_breaker_open', { provider: provider.name })
  expect(named, 'by the name of its profile').toBe(1)
  expect(await readMetric(looping, 'nexus_refresh_breaker_open'), 'and none that works').toBe(1)

  const [untouched = ''] = (await Promise.all(ids.map((id) => tokenRow(pool, id)))).flatMap(
    ({ failure_count, version }, index) => (failure_count === 0 && version === 1 ? [ids[index]] : []),
  )
  await setSecondsLeft(pool, untouched, 30)
  expect((await readToken(looping, untouched)).status, 'a living token is served').toBe(200)
  await setSecondsLeft(pool, untouched, -1)
  const over = await readToken(looping, untouched)
  expect(over).toMatchObject({ status: 502, body: { code: 'provider_unavailable' } })
  expect(Number(over.headers.get('retry-after'))).toBeGreaterThanOrEqual(1)
  expect(provider.counts().refreshRequests).toBeLessThanOrEqual(6)
})

test('[R1] two Brokers share the work, and no token is presented by both', async ({ quiet, database }) => {
  const { pool } = database
  const { provider, ids } = await openConnections(quiet, 24)
  const turnstile = createTurnstile()
  provider.always('token', turnstile.step)
  const env = { REFRESH_CONCURRENCY: '3' }
  await using one = await startLoopingBroker(database, env)
  await using two = await startLoopingBroker(database, env)
  await makeDue(pool, ids)
  // more than one of them may have: both are at it
  await turnstile.waitFor(6)
  turnstile.open()
  for (const id of ids) await waitForVersion(pool, id, 2)
  expect(provider.counts()).toMatchObject({
    refreshRequests: 24,
    supersededPresentations: 0,
    mostConcurrentRefreshes: 1,
  })
  const counted = { provider: provider.name, outcome: 'refreshed' }
  const shares = [one, two].map((broker) => readMetric(broker, 'nexus_refreshes_total', counted))
  const [first = 0, second = 0] = await Promise.all(shares)
  expect(first + second).toBe(24)
  expect(Math.min(first, second)).toBeGreaterThanOrEqual(3)
})
