import { randomBytes } from 'node:crypto'
import { createMetrics, renderMetrics } from '@nexus/service'
import { answers } from '@nexus/testing'
import { expect, onTestFinished, vi } from 'vitest'
import { createNoticeDelivery } from '../src/notices/deliver-notices.ts'
import { createNoticeMetrics } from '../src/notices/notice-metrics.ts'
import { createNoticeRecorder } from '../src/notices/notice-recorder.ts'
import { waitForBlocked } from './database-tools.ts'
import {
  insertConnection,
  makeDue,
  noticeRow,
  openNoticeScene,
  openOutbox,
  tell,
  tellMany,
  test,
  verify,
} from './notice-scene.ts'

test('a notice is a signed message that tells what became of a connection', async ({ database, outbox }) => {
  const scene = await openNoticeScene(outbox, database.pool)
  const about = await insertConnection(database.pool, 'attention_required', 'invalid_grant')
  const id = await tell(outbox, about)
  const createdAt = (await noticeRow(database.pool, id))?.created_at
  expect(await scene.deliver()).toBe(false)

  const [request, ...more] = scene.receiver.requests
  expect(more).toEqual([])
  expect(request).toMatchObject({
    method: 'POST',
    path: '/nexus',
    headers: { 'content-type': 'application/json', 'user-agent': 'Nexus-Broker', 'webhook-id': id },
  })
  const notice = verify(request, scene.secrets[0]!)
  expect(notice).toEqual({
    type: 'connection.attention_required',
    timestamp: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/),
    data: {
      connection_id: about.connectionId,
      zone: 'root',
      workspace_id: 'user-1',
      provider: about.provider,
      status: 'attention_required',
      status_reason: 'invalid_grant',
    },
  })
  expect(Date.parse(notice.timestamp)).toBe(createdAt?.getTime())
  const { rows } = await database.pool.query<{ now: number }>('select extract(epoch from now())::float8 as now')
  expect(Math.abs(Number(request?.headers['webhook-timestamp']) - rows[0]!.now)).toBeLessThan(10)

  expect(await noticeRow(database.pool, id), 'what was delivered is gone').toBeUndefined()
  await scene.deliver()
  expect(scene.receiver.requests).toHaveLength(1)
  expect(await scene.metrics()).toMatch(
    /nexus_notices_total\{type="connection.attention_required",outcome="delivered",[^}]*\} 1\n/,
  )
})

test('a provider’s alarm names the provider and the reason', async ({ database, outbox }) => {
  const scene = await openNoticeScene(outbox, database.pool)
  const { providerId, provider } = await insertConnection(database.pool)
  await outbox.transaction(async (transaction) => {
    await transaction.query({
      text: `update provider_profiles set alarm = 'invalid_client', alarm_since = now() where id = $1`,
      values: [providerId],
    })
    await createNoticeRecorder(() => '019ab000-0000-7000-8000-000000000001', true).aboutProvider(
      transaction,
      'provider.alarm',
      providerId,
    )
  })
  await scene.deliver()
  expect(verify(scene.receiver.requests[0], scene.secrets[0]!)).toMatchObject({
    type: 'provider.alarm',
    data: { provider_id: providerId, provider, reason: 'invalid_client' },
  })
})

test('while secrets are exchanged both sign, and either verifies', async ({ database, outbox }) => {
  const secrets = [randomBytes(24), randomBytes(64)]
  const scene = await openNoticeScene(outbox, database.pool, { secrets })
  await tell(outbox, await insertConnection(database.pool))
  await scene.deliver()
  for (const secret of secrets) verify(scene.receiver.requests[0], secret)
  expect(() => verify(scene.receiver.requests[0], randomBytes(32))).toThrow('no signature fits')
})

test('what is rolled back is never told', async ({ database, outbox }) => {
  const scene = await openNoticeScene(outbox, database.pool)
  const about = await insertConnection(database.pool)
  const recorder = createNoticeRecorder(() => '019ab000-0000-7000-8000-000000000002', true)
  const failing = outbox.transaction(async (transaction) => {
    await recorder.aboutConnection(transaction, 'connection.revoked', about.connectionId)
    throw new Error('the change failed after all')
  })
  await expect(failing).rejects.toThrow('after all')
  const after = await tell(outbox, about)
  await scene.deliver()
  expect(scene.receiver.requests.map(({ headers }) => headers['webhook-id'])).toEqual([after])
})

test('where no webhook is configured nothing is written', async ({ database, outbox }) => {
  await database.pool.query('delete from notices')
  const about = await insertConnection(database.pool)
  const recorder = createNoticeRecorder(() => '019ab000-0000-7000-8000-000000000003', false)
  await outbox.transaction(async (transaction) => {
    await recorder.aboutConnection(transaction, 'connection.revoked', about.connectionId)
    await recorder.aboutProvider(transaction, 'provider.alarm', about.providerId)
  })
  expect((await database.pool.query('select from notices')).rowCount).toBe(0)
})

test('of two changes the later one has the later timestamp, also if it began first', async ({ database, outbox }) => {
  const scene = await openNoticeScene(outbox, database.pool)
  const { connectionId } = await insertConnection(database.pool)
  const recorder = createNoticeRecorder(() => crypto.randomUUID(), true)
  const [began, waited] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
  const change = (status: string) => ({
    text: 'update connections set status = $1 where id = $2',
    values: [status, connectionId],
  })
  const disconnecting = outbox.transaction(async (transaction) => {
    await transaction.query({ text: 'select now()', values: [] })
    began.resolve()
    await waited.promise
    await transaction.query(change('revoked'))
    await recorder.aboutConnection(transaction, 'connection.revoked', connectionId)
  })
  await began.promise
  await outbox.transaction(async (transaction) => {
    await transaction.query(change('attention_required'))
    waited.resolve()
    await waitForBlocked(database.pool)
    await recorder.aboutConnection(transaction, 'connection.attention_required', connectionId)
  })
  await disconnecting
  await scene.deliver()
  const told = scene.receiver.requests.map((request) => verify(request, scene.secrets[0]!))
  expect(told.toSorted((a, b) => (a.timestamp < b.timestamp ? -1 : 1)).map(({ type }) => type)).toEqual([
    'connection.attention_required',
    'connection.revoked',
  ])
})

test('the longest waiting go first, a few at a time', async ({ database, outbox }) => {
  const scene = await openNoticeScene(outbox, database.pool)
  const about = await insertConnection(database.pool)
  await tellMany(outbox, about, 10)
  await database.pool.query(
    `update notices n set next_attempt_at = now() - make_interval(secs => r.n)
       from (select id, row_number() over (order by id) as n from notices) r where r.id = n.id`,
  )
  const { rows } = await database.pool.query<{ id: string }>('select id from notices order by next_attempt_at')
  const gate = answers.createGate()
  scene.receiver.always(gate.step)
  const round = scene.deliver()
  await vi.waitFor(() => expect(scene.receiver.requests).toHaveLength(8))
  const sent = scene.receiver.requests.map(({ headers }) => headers['webhook-id'])
  expect(new Set(sent)).toEqual(new Set(rows.slice(0, 8).map(({ id }) => id)))
  gate.open()
  expect(await round, 'there is more').toBe(true)
  expect(await scene.deliver()).toBe(false)
  expect(scene.receiver.requests).toHaveLength(10)
})

test('a notice belongs to one Broker until its lease ends, and then to another', async ({ database, outbox }) => {
  const { pool } = database
  const scene = await openNoticeScene(outbox, pool)
  const others = openOutbox(database.url)
  onTestFinished(() => others.close())
  const deliverElsewhere = createNoticeDelivery({ ...scene.deps, database: others })
  const id = await tell(outbox, await insertConnection(pool))
  const gate = answers.createGate('before', answers.serverError(500))
  scene.receiver.next(gate.step)
  const round = scene.deliver()
  await gate.arrived
  expect((await noticeRow(pool, id))?.seconds_ahead, 'longer than an attempt may take').toBeGreaterThan(20)

  await deliverElsewhere(scene.stopping.signal)
  expect(scene.receiver.requests, 'leased').toHaveLength(1)
  await makeDue(pool, id)
  scene.receiver.next(answers.serverError(500, 3_000))
  await deliverElsewhere(scene.stopping.signal)
  expect(scene.receiver.requests).toHaveLength(2)
  expect(await noticeRow(pool, id)).toMatchObject({ attempts: 2, seconds_ahead: expect.closeTo(3_000, -1) })

  // the first one comes to an end, and changes nothing of what the second one wrote
  gate.open()
  await round
  expect(await noticeRow(pool, id)).toMatchObject({ attempts: 2, seconds_ahead: expect.closeTo(3_000, -1) })
})

test('who was overtaken cannot abandon, but what it delivered is delivered', async ({ database, outbox }) => {
  const { pool } = database
  const scene = await openNoticeScene(outbox, pool)
  const about = await insertConnection(pool)
  for (const [answer, isLeft] of [
    [answers.text('', { status: 410 }), true],
    [answers.text('', { status: 200 }), false],
  ] as const) {
    const id = await tell(outbox, about)
    const gate = answers.createGate('before', answer)
    scene.receiver.next(gate.step)
    const round = scene.deliver()
    await gate.arrived
    await pool.query('update notices set attempts = attempts + 1 where id = $1', [id])
    gate.open()
    await round
    expect((await noticeRow(pool, id)) !== undefined).toBe(isLeft)
    await pool.query('delete from notices')
  }
})

test('the metrics show what waits, and a scrape outlives the database', async ({ database, outbox }) => {
  const scene = await openNoticeScene(outbox, database.pool)
  expect(await scene.metrics()).toMatch(/nexus_notices_oldest_age_seconds\{[^}]*\} 0\n/)
  const about = await insertConnection(database.pool)
  const ids = [await tell(outbox, about), await tell(outbox, about)]
  await database.pool.query(`update notices set created_at = now() - interval '100 seconds' where id = $1`, [ids[0]])
  expect(await scene.metrics()).toMatch(/nexus_notices_waiting\{[^}]*\} 2\n/)
  expect(await scene.metrics()).toMatch(/nexus_notices_oldest_age_seconds\{[^}]*\} 10\d\.\d+\n/)

  const away = openOutbox('postgresql://postgres@127.0.0.1:1/none')
  onTestFinished(() => away.close())
  const metrics = createMetrics('blind')
  createNoticeMetrics(metrics, away)
  expect((await renderMetrics(metrics)).text).toMatch(/nexus_notices_waiting\{[^}]*\} NaN\n/i)
})
