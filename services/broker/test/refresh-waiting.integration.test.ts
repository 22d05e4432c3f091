import { setImmediate as nextTurn } from 'node:timers/promises'
import { answers } from '@nexus/testing'
import { expect } from 'vitest'
import { systemOrigin } from '../src/audit/audit-event.ts'
import { type Refused, asAgent, findToken } from './agents-scene.ts'
import { setSecondsLeft, tokenRow, waitForBlocked } from './database-tools.ts'
import { auditOf } from './handshake-scene.ts'
import { mintToken, readToken, startTestBroker } from './harness.ts'
import { createTurnstile, hookStatements, openConnections, readMetric, test } from './refresh-scene.ts'
import { openRefresher } from './refresher-scene.ts'

test('while the provider hangs, a living token is served after a while, and an expired one waits', async ({
  quiet,
  database: { pool },
}) => {
  const { provider, ids } = await openConnections(quiet, 2)
  const [living = '', over = ''] = ids
  const { access_token: first } = (await readToken(quiet, living)).body
  await setSecondsLeft(pool, living, 40)
  await setSecondsLeft(pool, over, -1)
  const turnstile = createTurnstile()
  provider.always('token', turnstile.step)
  let isOverServed = false
  const waiting = readToken(quiet, over).finally(() => (isOverServed = true))
  const served = await readToken(quiet, living)
  expect(served).toMatchObject({ status: 200, body: { access_token: first } })
  expect(served.body.expires_in).toBeGreaterThan(0)
  expect(isOverServed, 'it has nothing to be served').toBe(false)
  expect(turnstile.mostAtOnce(), 'both were presented').toBe(2)
  const reason = { reason: 'refresh_in_progress' }
  expect(await readMetric(quiet, 'nexus_tokens_served_unrefreshed_total', reason)).toBe(1)
  const said = quiet.logs.lines().filter(({ msg }) => msg === 'a token was served unrefreshed')
  expect(said).toMatchObject([{ connection_id: living, details: { code: 'refresh_in_progress' } }])

  turnstile.open()
  expect((await waiting).status).toBe(200)
  // what was under way for the living one went on without its reader
  await expect.poll(async () => (await tokenRow(pool, living)).version).toBe(2)
  expect((await readToken(quiet, living)).body.access_token).not.toBe(first)
  expect(provider.counts()).toMatchObject({ refreshRequests: 2, supersededPresentations: 0 })
})

test('readers at another Broker wait for the refresh of the first one, and get its token', async ({
  quiet,
  database,
}) => {
  const { provider, ids } = await openConnections(quiet, 1)
  const [id = ''] = ids
  await using other = await startTestBroker(database, { env: { REFRESH_ENABLED: 'false' } })
  await setSecondsLeft(database.pool, id, -1)
  const gate = answers.createGate('after')
  provider.next('token', gate.step)
  const first = readToken(quiet, id)
  await gate.arrived
  const others = Array.from({ length: 5 }, () => readToken(other, id))
  // who is answered now was asked after them: they wait by now
  await other.get(`/connections/${id}`)
  gate.open()
  const { body } = await first
  for (const answer of await Promise.all(others)) {
    expect(answer).toMatchObject({ status: 200, body: { access_token: body.access_token } })
  }
  expect(provider.counts()).toMatchObject({ refreshRequests: 1, supersededPresentations: 0 })
})

test('who is revoked or sent away while it waits for a refresh is not answered its token', async ({
  quiet,
  database,
}) => {
  const { provider, ids } = await openConnections(quiet, 1)
  const [id = ''] = ids
  const path = `/connections/${id}/token`
  const root = { zone: 'root', permissions: 'rw' }
  const staying = await mintToken(quiet, { zones: [root] })
  const revoked = await mintToken(quiet, { zones: [root] })
  const moved = await mintToken(quiet, { zones: [root, { zone: 'elsewhere', permissions: 'rw' }] })
  await setSecondsLeft(database.pool, id, -1)
  const gate = answers.createGate('after')
  provider.next('token', gate.step)
  const waiting = [staying, revoked, moved].map((token) => asAgent(quiet, token).get<Refused>(path))
  const forced = asAgent(quiet, revoked).post<Refused>(`/connections/${id}/refresh`)
  await gate.arrived
  // who is answered now was asked after them: they wait by now
  await quiet.get('/agent-tokens')
  const keyOf = async (token: string) => (await findToken(quiet, token)).key_id
  expect((await quiet.send('DELETE', `/agent-tokens/${await keyOf(revoked)}`)).status).toBe(200)
  expect((await quiet.send('DELETE', `/agent-tokens/${await keyOf(moved)}/zones/root`)).status).toBe(200)
  const feels = (token: string) => asAgent(quiet, token).get<Refused>(`/connections/${id}`)
  await expect.poll(async () => (await feels(revoked)).status).toBe(401)
  await expect.poll(async () => (await feels(moved)).status).toBe(404)
  gate.open()

  const [served, ended, outside] = await Promise.all(waiting)
  expect(served).toMatchObject({ status: 200 })
  expect(ended).toMatchObject({ status: 401, body: { code: 'invalid_token' } })
  expect(outside).toMatchObject({ status: 404, body: { code: 'connection_not_found' } })
  expect(await forced).toMatchObject({ status: 401, body: { code: 'invalid_token' } })
  for (const answer of [ended, outside, await forced]) expect(answer?.text).not.toContain('access_token')
})

test('whoever loses patience is told so, and what is under way goes on', async ({ quiet, database }) => {
  const { provider, ids } = await openConnections(quiet, 1)
  const [id = ''] = ids
  await using refresher = await openRefresher(database)
  const gate = answers.createGate('after')
  provider.next('token', gate.step)
  await expect(refresher.refreshConnection(id, systemOrigin, 50)).rejects.toMatchObject({
    code: 'refresh_in_progress',
    retryAfterSeconds: 2,
  })
  await gate.arrived
  gate.open()
  await refresher.refreshConnection(id, systemOrigin, 20_000)
  expect((await tokenRow(database.pool, id)).version).toBe(2)
  expect(provider.counts().refreshRequests).toBe(1)
})

test('who waits for a slot when the Broker stops is refused, and claims nothing any more', async ({
  quiet,
  database,
}) => {
  const { provider, ids } = await openConnections(quiet, 2)
  const [first = '', second = ''] = ids
  const looked = Promise.withResolvers<void>()
  await using refresher = await openRefresher(database, {
    env: { REFRESH_CONCURRENCY: '1' },
    database: hookStatements(({ values }) => {
      if (values.includes(second)) looked.resolve()
    }),
  })
  const gate = answers.createGate('before')
  provider.next('token', gate.step)
  const sending = refresher.refreshConnection(first, systemOrigin, 20_000)
  await gate.arrived
  const waiting = refresher.refreshConnection(second, systemOrigin, 20_000).catch((error: unknown) => error)
  await looked.promise
  // from its look at the row it goes on without waiting for anything but its turn
  await nextTurn()
  refresher.stop()
  gate.open()
  expect(await waiting).toMatchObject({ code: 'unavailable' })
  await sending
  expect(provider.counts().refreshRequests).toBe(1)
})

test('who comes to its claim after somebody else has failed leaves the provider alone, as it wished', async ({
  quiet,
  database: { pool },
}) => {
  const { provider, ids } = await openConnections(quiet, 1)
  const [id = ''] = ids
  const holder = await pool.connect()
  try {
    await holder.query('begin')
    await holder.query(
      `update tokens set next_attempt_at = now() + interval '90 s', attempt_outcome = 'transient', attempt_epoch = 1,
              lease_epoch = 1, failure_count = 1 where connection_id = $1`,
      [id],
    )
    const asking = quiet.post(`/connections/${id}/refresh`)
    await waitForBlocked(pool)
    await holder.query('commit')
    const answer = await asking
    expect(answer).toMatchObject({ status: 502, body: { code: 'provider_unavailable' } })
    expect(Number(answer.headers.get('retry-after'))).toBeGreaterThan(80)
  } finally {
    holder.release()
  }
  expect(provider.counts().refreshRequests).toBe(0)
  const { rows } = await pool.query('select lease_until from tokens where connection_id = $1', [id])
  expect(rows, 'the lease was given back').toEqual([{ lease_until: null }])
})

test('what an earlier attempt came to is not taken for the outcome of the one that is waited for', async ({
  quiet,
  database: { pool },
}) => {
  const { provider, ids } = await openConnections(quiet, 1)
  const [id = ''] = ids
  provider.next('token', answers.serverError(503))
  expect((await quiet.post(`/connections/${id}/refresh`)).status).toBe(502)
  await pool.query('update tokens set next_attempt_at = now() where connection_id = $1', [id])
  const holder = await pool.connect()
  try {
    // another Broker is faster, and gives its lease back without having sent anything
    await holder.query('begin')
    await holder.query(
      `update tokens set lease_epoch = lease_epoch + 1, lease_until = now() + interval '1 minute' where connection_id = $1`,
      [id],
    )
    const asking = quiet.post(`/connections/${id}/refresh`)
    await waitForBlocked(pool)
    await holder.query('commit')
    await holder.query('update tokens set lease_until = null where connection_id = $1', [id])
    expect((await asking).status).toBe(200)
  } finally {
    holder.release()
  }
  expect(await auditOf(quiet, id)).toEqual(
    expect.arrayContaining(['token_refresh_failed http_503', 'token_refreshed success']),
  )
})
