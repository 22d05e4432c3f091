import { setTimeout as delay } from 'node:timers/promises'
import { startRedis } from '@nexus/testing'
import { expect, onTestFinished } from 'vitest'
import { createIdentities } from '../src/agents/identities.ts'
import { asAgent, findToken, openTeam } from './agents-scene.ts'
import { startOwnCluster } from './cluster-scene.ts'
import { eventually, openTestDatabase } from './database-tools.ts'
import { test } from './handshake-scene.ts'
import { type Client, mintToken, startTestBroker } from './harness.ts'

/** About a second on a machine that has the time, and this long on one that has not; what is remembered lives for a minute. */
const feltWithinMs = 3_000

/** Asks without a pause until it is refused. */
function useUntilRefused(agent: Client) {
  const accepted = Promise.withResolvers<void>()
  const ask = async (): Promise<number> => {
    const giveUpAt = performance.now() + 20_000
    for (let lastAccepted = 0; performance.now() < giveUpAt;) {
      const sentAt = performance.now()
      const { status } = await agent.get('/connections?limit=1')
      if (status === 401) return lastAccepted
      if (status !== 200) throw new Error(`unexpected ${status}`)
      lastAccepted = sentAt
      accepted.resolve()
    }
    throw new Error('the token was never refused')
  }
  /** When the last request was sent that was accepted, by performance.now(): how long its answer took says nothing. */
  const lastAccepted = ask()
  return { lastAccepted, isInUse: Promise.race([accepted.promise, lastAccepted]) }
}

async function expectRevokedSoon(brokers: readonly [Client, Client], token: string): Promise<void> {
  const { key_id } = await findToken(brokers[0], token)
  const using = brokers.flatMap((broker) => [1, 2].map(() => useUntilRefused(asAgent(broker, token))))
  await Promise.all(using.map(({ isInUse }) => isInUse))
  expect((await brokers[0].send('DELETE', `/agent-tokens/${key_id}`)).status).toBe(200)
  const answered = performance.now()
  for (const { lastAccepted } of using) expect((await lastAccepted) - answered).toBeLessThan(feltWithinMs)
}

test('[R5] a revocation is felt at every Broker soon, with Redis', async ({ database }) => {
  await using redis = await startRedis()
  const env = { REDIS_URL: redis.url, REQUIRE_BEARER: 'true' }
  await using one = await startTestBroker(database, { env })
  await using two = await startTestBroker(database, { env })
  await expectRevokedSoon([one, two], await mintToken(one, { zones: [{ zone: 'root', permissions: 'r' }] }))
  // stopped in between: the polls do alone
  await redis.stop()
  await expectRevokedSoon([one, two], await mintToken(one, { zones: [{ zone: 'root', permissions: 'r' }] }))
})

test('[R5] and without Redis', async ({ database }) => {
  const env = { REQUIRE_BEARER: 'true' }
  await using one = await startTestBroker(database, { env })
  await using two = await startTestBroker(database, { env })
  await expectRevokedSoon([one, two], await mintToken(one, { zones: [{ zone: 'root', permissions: 'r' }] }))
})

test('[C4] zones and permissions that are taken away are felt as soon', async ({ broker, database }) => {
  await using other = await startTestBroker(database)
  const { zone } = await openTeam(broker)
  const zones = [
    { zone: 'root', permissions: 'r' },
    { zone, permissions: 'rwx' },
  ]
  const token = await mintToken(broker, { zones })
  const { key_id } = await findToken(broker, token)
  const seen = async () => {
    const { body } = await asAgent(other, token).get<{ zones: { name: string }[]; code?: string }>('/zones')
    return body.code ?? body.zones.map(({ name }) => name)
  }
  expect(await seen()).toEqual(['root', zone])
  expect((await broker.send('DELETE', `/agent-tokens/${key_id}/zones/root`)).status).toBe(200)
  await expect.poll(seen, { timeout: feltWithinMs, interval: 20 }).toEqual([zone])
  const narrowed = { body: { permissions: 'rw' } }
  expect((await broker.send('PUT', `/agent-tokens/${key_id}/zones/${zone}`, narrowed)).status).toBe(200)
  await expect.poll(seen, { timeout: feltWithinMs, interval: 20 }).toBe('insufficient_permission')
})

test('a token that expires ends by the database’s clock, though it is remembered', async ({ broker, database }) => {
  const token = await mintToken(broker, { zones: [{ zone: 'root', permissions: 'r' }], expires_in: 3600 })
  await database.pool.query(`update agent_tokens set expires_at = now() + interval '1.2 s' where prefix = $1`, [
    token.slice(0, -44),
  ])
  const lastAccepted = await useUntilRefused(asAgent(broker, token)).lastAccepted
  const { rows } = await database.pool.query<{ ago: number }>(
    'select extract(epoch from now() - expires_at)::float8 * 1000 as ago from agent_tokens where prefix = $1',
    [token.slice(0, -44)],
  )
  const expiredAt = performance.now() - (rows[0]?.ago ?? 0)
  expect(lastAccepted).toBeLessThan(expiredAt + 100)
})

test(
  '[R4] with the database away what is remembered counts for five seconds, and then nobody is known',
  { timeout: 60_000 },
  async () => {
    const { cluster, broker } = await startOwnCluster()
    const token = await mintToken(broker, { zones: [{ zone: 'root', permissions: 'r' }] })
    const agent = asAgent(broker, token)
    const ask = async () => (await agent.get<{ code: string }>(`/connections?cursor=x`)).body.code
    // refused for the cursor: the token was good, and once it is remembered no look into the database was needed for that
    await eventually('the token is remembered', async () => {
      expect(await ask()).toBe('invalid_request')
      return /nexus_agent_checks_total\{[^}]*how="known"/.test((await broker.get('/metrics')).text) || undefined
    })
    const stoppingAt = performance.now()
    await cluster.stop('immediate')
    const stoppedAt = performance.now()
    let [lastKnown, answer] = [0, '']
    for (let sentAt = stoppedAt; answer !== 'unavailable' && sentAt - stoppedAt < 15_000; sentAt = performance.now()) {
      answer = await ask()
      if (answer === 'invalid_request') lastKnown = sentAt
      await delay(50)
    }
    expect(answer).toBe('unavailable')
    // no poll was answered after the stop, and the last one not long before it
    expect(lastKnown - stoppedAt).toBeLessThan(5_000)
    expect(lastKnown - stoppingAt).toBeGreaterThan(1_000)
    await cluster.start()
    await expect.poll(ask, { timeout: 10_000 }).toBe('invalid_request')
  },
)

/** What one Broker remembers of agents, taken alone: its clock goes as the test says, and answers to its looks may be held. */
function openIdentities(database: Parameters<typeof openTestDatabase>[0]) {
  const pool = openTestDatabase(database)
  onTestFinished(() => pool.close())
  let now = 0
  let looks = 0
  let beforeAnswer: (() => Promise<void>) | undefined
  const identities = createIdentities({
    database: {
      async query(statement) {
        const rows = await pool.query(statement)
        // the answer is on its way while the world goes on
        const hold = statement.name === 'identities' ? beforeAnswer : undefined
        beforeAnswer = hold === undefined ? beforeAnswer : undefined
        await hold?.()
        return rows as never
      },
    },
    monotonicMs: () => now,
    noteUse: () => undefined,
    countCheck: (how) => void (looks += how === 'looked_up' ? 1 : 0),
  })
  return {
    ...identities,
    advance: (milliseconds: number) => void (now += milliseconds),
    /** What happens while the next answer of the database is on its way. */
    holdNext: (work: () => Promise<void>) => void (beforeAnswer = work),
    /** Whether a token is known, or was looked up just now. @throws for one that is not valid */
    check: async (token: string): Promise<'known' | 'looked_up'> => {
      const before = looks
      await identities.identify(token, undefined)
      return looks === before ? 'known' : 'looked_up'
    },
  }
}

test('a look that began before a revocation cannot bring the token back', async ({ broker, database }) => {
  const token = await mintToken(broker, { zones: [{ zone: 'root', permissions: 'r' }] })
  const { key_id } = await findToken(broker, token)
  const { poll, identify, holdNext } = openIdentities(database)
  await poll()
  holdNext(async () => {
    expect((await broker.send('DELETE', `/agent-tokens/${key_id}`)).status).toBe(200)
    await poll()
  })
  await expect(identify(token, undefined)).rejects.toMatchObject({ code: 'invalid_token' })
  await expect(identify(token, undefined)).rejects.toMatchObject({ code: 'invalid_token' })
})

test('what is forgotten while it is being renewed stays forgotten', async ({ broker, database }) => {
  const token = await mintToken(broker, { zones: [{ zone: 'root', permissions: 'r' }] })
  const { poll, check, forgetAll, advance, holdNext } = openIdentities(database)
  await poll()
  await check(token)
  expect(await check(token)).toBe('known')
  advance(46_000)
  holdNext(async () => forgetAll())
  await poll()
  expect(await check(token)).toBe('looked_up')
})

test('what is remembered counts for a minute, is renewed for who is at work, and a number that went back empties it', async ({
  database,
  broker,
}) => {
  const mint = () => mintToken(broker, { zones: [{ zone: 'root', permissions: 'r' }] })
  const [token, idle] = [await mint(), await mint()]
  const { poll, identify, check, forgetAll, advance } = openIdentities(database)
  expect(await check(token), 'before the first poll nothing counts').toBe('looked_up')
  expect(await check(token)).toBe('looked_up')
  await poll()
  await check(token)
  expect(await check(token)).toBe('known')
  expect(await check(idle)).toBe('looked_up')
  for (let second = 1; second <= 61; second++) {
    advance(1_000)
    await poll()
    expect(await check(token), 'at work all the while').toBe('known')
  }
  expect(await check(idle), 'after a minute').toBe('looked_up')
  expect(await check(idle)).toBe('known')
  await expect(identify(`${token.slice(0, -43)}${'A'.repeat(43)}`, undefined)).rejects.toMatchObject({
    code: 'invalid_token',
  })
  forgetAll()
  expect(await check(token)).toBe('looked_up')
  advance(5_001)
  expect(await check(token), 'without a poll for five seconds').toBe('looked_up')
  await poll()
  await check(token)
  await database.pool.query('update agent_changes set seq = seq - 1')
  await poll()
  expect(await check(token), 'a database that was restored').toBe('looked_up')
  await database.pool.query('update agent_changes set seq = seq + 1')
  await poll()
  await check(token)
  expect(await check(token)).toBe('known')
  // behind everybody's back, as no Broker does it
  await database.pool.query('update agent_tokens set revoked_at = now() where prefix = $1', [token.slice(0, -44)])
  for (let second = 1; second <= 46; second++) {
    advance(1_000)
    await poll()
  }
  await expect(identify(token, undefined), 'it was renewed, and found revoked').rejects.toMatchObject({
    code: 'invalid_token',
  })
})
