import { answers } from '@nexus/testing'
import { expect, onTestFinished } from 'vitest'
import { createNoticeDelivery } from '../src/notices/deliver-notices.ts'
import {
  insertConnection,
  makeDue,
  noticeRow,
  openNoticeScene,
  openOutbox,
  tell,
  tellMany,
  test,
} from './notice-scene.ts'

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
  await expect.poll(() => scene.receiver.requests).toHaveLength(8)
  const sent = scene.receiver.requests.map(({ headers }) => headers['webhook-id'])
  expect(new Set(sent)).toEqual(new Set(rows.slice(0, 8).map(({ id }) => id)))
  gate.open()
  expect(await round, 'there is more').toBe(true)
  expect(await scene.deliver()).toBe(false)
  expect(scene.receiver.requests).toHaveLength(10)
})

test('however many claim at once, each notice is sent once', async ({ database, outbox }) => {
  const scene = await openNoticeScene(outbox, database.pool)
  const others = openOutbox(database.url)
  onTestFinished(() => others.close())
  await tellMany(outbox, await insertConnection(database.pool), 200)
  const deliver = createNoticeDelivery({ ...scene.deps, database: others })
  for (let n = 0; n < 10; n++) {
    await Promise.all(
      Array.from({ length: 8 }, (_, k) => (k % 2 === 0 ? scene.deliver() : deliver(scene.stopping.signal))),
    )
  }
  expect((await database.pool.query('select from notices')).rowCount).toBe(0)
  expect(scene.receiver.requests).toHaveLength(200)
  expect(new Set(scene.receiver.requests.map(({ headers }) => headers['webhook-id'])).size).toBe(200)
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
