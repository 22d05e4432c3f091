import { randomBytes } from 'node:crypto'
import { answers } from '@nexus/testing'
import { expect, onTestFinished } from 'vitest'
import { setSecondsLeft, tokenRow } from './database-tools.ts'
import { auditOf, connectionOf, eventsOf } from './handshake-scene.ts'
import { readToken, startTestBroker } from './harness.ts'
import {
  letLoopPass,
  makeDue,
  openConnections,
  readMetric,
  startLoopingBroker,
  test,
  waitForVersion,
} from './refresh-scene.ts'

test('a token that is due is refreshed without anybody asking, and the others are left', async ({
  quiet,
  database,
}) => {
  const { pool } = database
  const { provider, ids } = await openConnections(quiet, 2)
  const [due = '', other = ''] = ids
  await makeDue(pool, due)
  await using looping = await startLoopingBroker(database)
  await waitForVersion(pool, due, 2)
  const row = await tokenRow(pool, due)
  expect(Number(row.refresh_at), 'due again ahead of its new expiry').toBeGreaterThan(Date.now() + 3_000_000)
  const events = await eventsOf(quiet, due)
  expect(events.at(-1)).toMatchObject({ event: 'token_refreshed', outcome: 'success', actor_kind: 'system' })
  expect(events.at(-1)).toMatchObject({ token_version: 2, actor_id: null })

  await letLoopPass(quiet, pool)
  expect((await tokenRow(pool, due)).version).toBe(2)
  expect((await tokenRow(pool, other)).version).toBe(1)
  expect(provider.counts()).toMatchObject({ refreshRequests: 1, supersededPresentations: 0 })
  expect(provider.violations).toEqual([])
  const counted = { provider: provider.name, outcome: 'refreshed' }
  expect(await readMetric(looping, 'nexus_refreshes_total', counted)).toBe(1)
  expect(await readMetric(looping, 'nexus_refresh_duration_seconds_count', { provider: provider.name })).toBe(1)
})

test('REFRESH_ENABLED=false: nothing is refreshed but on demand', async ({
  quiet,
  database: { pool },
  emptyDatabase,
}) => {
  // what a Broker with the loop does meanwhile shows that there was time enough
  await using control = await startLoopingBroker(emptyDatabase)
  const { provider, ids } = await openConnections(quiet, 2)
  for (const id of ids) await makeDue(pool, id, 60)
  await letLoopPass(control, emptyDatabase.pool)
  expect(provider.counts().refreshRequests).toBe(0)
  expect((await quiet.post(`/connections/${ids[0]}/refresh`)).status).toBe(200)
  await setSecondsLeft(pool, ids[1] ?? '', -1)
  expect((await readToken(quiet, ids[1] ?? '')).status).toBe(200)
  expect(provider.counts().refreshRequests).toBe(2)
})

test('a token without a refresh token needs its user when it ends, read or not, and they hear of it', async ({
  quiet,
  database,
}) => {
  const { pool } = database
  const { provider, ids } = await openConnections(quiet, 2, { refreshTokens: 'none' })
  const [over = '', living = ''] = ids
  const { expires_at, refresh_at } = await tokenRow(pool, living)
  expect(refresh_at, 'looked at when it ends').toEqual(expires_at)
  await setSecondsLeft(pool, over, -1)
  await makeDue(pool, over)
  await using _looping = await startLoopingBroker(database, {
    WEBHOOK_URL: 'http://127.0.0.1:1/nobody-listens',
    WEBHOOK_SECRET: `whsec_${randomBytes(32).toString('base64')}`,
  })
  await expect.poll(async () => (await connectionOf(quiet, over)).status).toBe('attention_required')
  expect((await connectionOf(quiet, over)).status_reason).toBe('no_refresh_token')
  const { rows } = await pool.query(`select type, data from notices where data->>'connection_id' = $1`, [over])
  expect(rows).toMatchObject([
    {
      type: 'connection.attention_required',
      data: { provider: provider.name, status: 'attention_required', status_reason: 'no_refresh_token' },
    },
  ])
  await letLoopPass(quiet, pool)
  expect(await connectionOf(quiet, living)).toMatchObject({ status: 'active' })
  const fatal = (await eventsOf(quiet, over)).filter(({ event }) => event === 'token_refresh_fatal')
  expect(fatal, 'once').toMatchObject([{ outcome: 'no_refresh_token', actor_kind: 'system' }])
  expect(provider.counts().refreshRequests).toBe(0)
})

test('tokens that live under two minutes are left to readers', async ({ quiet, database }) => {
  const { provider, ids } = await openConnections(quiet, 1, { lifetimeSeconds: 119 })
  const [id = ''] = ids
  await setSecondsLeft(database.pool, id, -30, 119)
  await using _looping = await startLoopingBroker(database)
  await letLoopPass(quiet, database.pool)
  expect(provider.counts().refreshRequests).toBe(0)
  expect((await readToken(quiet, id)).status).toBe(200)
  expect(provider.counts().refreshRequests).toBe(1)
})

test('after a failure a token waits for its next attempt, and is then tried again', async ({ quiet, database }) => {
  const { pool } = database
  const { provider, ids } = await openConnections(quiet, 1)
  const [id = ''] = ids
  provider.next('token', answers.serverError(503, 600))
  await makeDue(pool, id)
  await using _looping = await startLoopingBroker(database)
  await expect.poll(async () => (await tokenRow(pool, id)).failure_count).toBe(1)
  expect(Number((await tokenRow(pool, id)).next_attempt_at)).toBeGreaterThan(Date.now() + 500_000)
  await letLoopPass(quiet, pool)
  expect(provider.requestsTo('token').filter(({ form }) => form.get('grant_type') === 'refresh_token')).toHaveLength(1)

  await pool.query('update tokens set next_attempt_at = now() where connection_id = $1', [id])
  await waitForVersion(pool, id, 2)
  expect(await tokenRow(pool, id)).toMatchObject({ failure_count: 0, next_attempt_at: null })
  expect(await auditOf(quiet, id)).toEqual(
    expect.arrayContaining(['token_refresh_failed http_503', 'token_refreshed success']),
  )
})

/** Ways in which secrets do not open, as SQL assigned to the row. */
const unopenable = [
  ['vault_integrity', 'credentials = set_byte(credentials, 25, get_byte(credentials, 25) # 1)'],
  ['key_unavailable', `credentials = overlay(credentials placing '\\x01020304' from 2), key_id = '\\x01020304'`],
] as const

test.for(unopenable)(
  'secrets that do not open wait, and hold up nobody: %s',
  async ([reason, spoil], { quiet, database }) => {
    const { pool } = database
    const { provider, ids } = await openConnections(quiet, 6)
    const spoilt = ids.slice(0, 5)
    const [sound = ''] = ids.slice(5)
    await using looping = await startLoopingBroker(database, { REFRESH_CONCURRENCY: '2' })
    // no Broker starts where keys are missing
    onTestFinished(async () => void (await pool.query('delete from tokens where connection_id = any ($1)', [spoilt])))
    await pool.query(
      `update tokens set ${spoil}, refresh_at = now() - interval '1 hour' where connection_id = any ($1)`,
      [spoilt],
    )
    await makeDue(pool, sound, 1)
    await waitForVersion(pool, sound, 2)
    await letLoopPass(quiet, pool)
    for (const id of spoilt) {
      const { failure_count, next_attempt_at } = await tokenRow(pool, id)
      expect(failure_count, 'it was tried once').toBe(1)
      expect(Number(next_attempt_at)).toBeGreaterThan(Date.now() + 40_000)
      expect(await connectionOf(quiet, id)).toMatchObject({ status: 'active' })
      expect(await auditOf(quiet, id)).toContain(`token_refresh_failed ${reason}`)
    }
    expect(provider.counts().refreshRequests).toBe(1)
    expect(await readMetric(looping, 'nexus_refreshes_total', { provider: provider.name, outcome: 'unopened' })).toBe(5)
    expect(await readMetric(looping, 'nexus_refresh_open_breakers'), 'the provider is not to blame').toBe(0)
  },
)

test('an answer that was stored so late that its token is due again is refreshed at once', async ({
  quiet,
  database,
}) => {
  const { pool } = database
  const { provider, ids } = await openConnections(quiet, 2)
  const [due = '', over = ''] = ids
  await setSecondsLeft(pool, over, -1)
  await makeDue(pool, ids)
  await pool.query('update tokens set last_refresh_at = now() where connection_id = any ($1)', [ids])
  // to a reader, what has ended is not fresh, however lately it was stored
  expect((await readToken(quiet, over)).status).toBe(200)
  await using _looping = await startLoopingBroker(database)
  await waitForVersion(pool, due, 2)
  const { last_refresh_at } = await tokenRow(pool, due)
  const { rows } = await pool.query<{ epoch: string }>(
    'select lease_epoch as epoch from tokens where connection_id = $1',
    [due],
  )
  expect(last_refresh_at).not.toBeNull()
  expect(Number(rows[0]?.epoch), 'claimed once, not again and again').toBe(1)
  expect(provider.counts()).toMatchObject({ refreshRequests: 2, supersededPresentations: 0 })
})

test('how long the longest-due token has been waiting is measured, those that wait for their turn left out', async ({
  quiet,
  database: { pool },
}) => {
  // what other tests left behind
  await pool.query('update tokens set refresh_at = null')
  expect(await readMetric(quiet, 'nexus_refresh_oldest_due_seconds')).toBe(0)
  const { ids } = await openConnections(quiet, 3)
  await makeDue(pool, ids[0] ?? '', 40)
  await makeDue(pool, ids[1] ?? '', 700)
  await makeDue(pool, ids[2] ?? '', 9_000)
  await pool.query(`update tokens set next_attempt_at = now() + interval '1 hour' where connection_id = $1`, [ids[2]])
  const seconds = await readMetric(quiet, 'nexus_refresh_oldest_due_seconds')
  expect(seconds).toBeGreaterThanOrEqual(700)
  expect(seconds).toBeLessThan(9_000)
})

test('a Broker that stops finishes what it has begun, and leaves no lease', async ({ quiet, database }) => {
  const { pool } = database
  const { provider, ids } = await openConnections(quiet, 1)
  const [id = ''] = ids
  const gate = answers.createGate('after')
  provider.next('token', gate.step)
  await makeDue(pool, id)
  const looping = await startTestBroker(database)
  await gate.arrived
  const stopping = looping[Symbol.asyncDispose]()
  gate.open()
  await stopping
  const { rows } = await pool.query('select version, lease_until, sent_epoch from tokens where connection_id = $1', [
    id,
  ])
  expect(rows).toEqual([{ version: 2, lease_until: null, sent_epoch: null }])
})
