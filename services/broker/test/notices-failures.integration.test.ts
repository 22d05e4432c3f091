import { answers, freePort } from '@nexus/testing'
import { expect, vi } from 'vitest'
import {
  abandonedOf,
  insertConnection,
  makeDue,
  makeOlder,
  noticeRow,
  openNoticeScene,
  openReceiver,
  tell,
  test,
  verify,
} from './notice-scene.ts'
import { openFetch, resolveTo } from './outbound-peer.ts'

const failures = [
  ['status 404', answers.text('', { status: 404 })],
  ['status 500', answers.serverError(500)],
  ['redirects are not followed', answers.redirect('http://169.254.169.254/latest/meta-data/', 307)],
  ['no answer (UND_ERR_SOCKET)', answers.cutConnection()],
] as const

test.for(failures)(
  'after "%s" a notice is sent again, later and under the same id',
  async ([reason, answer], { database, outbox }) => {
    const scene = await openNoticeScene(outbox, database.pool)
    const id = await tell(outbox, await insertConnection(database.pool))
    scene.receiver.next(answer, answer)
    await scene.deliver()
    // random is 0.5: three quarters of 5 s, then of 10 s
    expect(await noticeRow(database.pool, id)).toMatchObject({ attempts: 1, seconds_ahead: expect.closeTo(3.75, 0) })
    await scene.deliver()
    expect(scene.receiver.requests, 'not before its time').toHaveLength(1)

    await makeDue(database.pool, id)
    await scene.deliver()
    expect(await noticeRow(database.pool, id)).toMatchObject({ attempts: 2, seconds_ahead: expect.closeTo(7.5, 0) })
    await makeDue(database.pool, id)
    await scene.deliver()
    expect(await noticeRow(database.pool, id)).toBeUndefined()

    const [first, ...later] = scene.receiver.requests
    expect(later).toHaveLength(2)
    for (const request of later) {
      expect(request.headers['webhook-id']).toBe(id)
      expect(verify(request, scene.secrets[0]!)).toEqual(verify(first, scene.secrets[0]!))
    }
    expect(scene.logs.lines().filter(({ level }) => level === 'warn')).toMatchObject([
      { failed: 1, of: 1, reasons: [reason] },
      { failed: 1, of: 1, reasons: [reason] },
    ])
    expect(await scene.metrics()).toMatch(/nexus_notices_total\{[^}]*outcome="retried"[^}]*\} 2\n/)
  },
)

test('[P4] a redirect is not followed, wherever it leads', async ({ database, outbox }) => {
  const elsewhere = await openReceiver()
  const scene = await openNoticeScene(outbox, database.pool)
  await tell(outbox, await insertConnection(database.pool))
  scene.receiver.next(answers.redirect(elsewhere.url, 307))
  await scene.deliver()
  expect(scene.receiver.requests).toHaveLength(1)
  expect(elsewhere.requests).toEqual([])
})

test('[P4] a private address is refused unless it was opened, also behind a name', async ({ database, outbox }) => {
  const { port, requests } = await openReceiver()
  for (const [url, fetch] of [
    [`http://127.0.0.1:${port}/`, openFetch({ allowPrivateNetworks: false })],
    [`https://127.0.0.1:${port}/`, openFetch({ allowPrivateNetworks: false })],
    [`https://hooks.example:${port}/`, openFetch({ allowPrivateNetworks: false, resolve: resolveTo('127.0.0.1') })],
    // open, but nobody may read along on the Internet, and metadata stays closed
    [`http://hooks.example:${port}/`, openFetch({ resolve: resolveTo('93.184.215.14') })],
    ['http://169.254.169.254/latest/meta-data/', openFetch()],
  ] as const) {
    const scene = await openNoticeScene(outbox, database.pool, { url, fetch })
    const id = await tell(outbox, await insertConnection(database.pool))
    await scene.deliver()
    expect(await noticeRow(database.pool, id), 'it waits: the operator may put it right').toMatchObject({ attempts: 1 })
    expect(scene.logs.lines().at(-1)?.['reasons'], url).toEqual([expect.stringMatching(/must use https|not allowed/)])
  }
  expect(requests).toEqual([])
})

test('Retry-After is honoured in either form, also beyond the longest pause of our own', async ({
  database,
  outbox,
}) => {
  const { pool } = database
  const about = await insertConnection(pool)
  const in3Hours = new Date(Date.now() + 3 * 3_600_000).toUTCString()
  for (const [answer, seconds] of [
    [answers.tooManyRequests(900), 900],
    [answers.serverError(503, 3 * 3_600), 3 * 3_600],
    [answers.serverError(502, in3Hours), 3 * 3_600],
    [answers.tooManyRequests('soon'), 3.75],
  ] as const) {
    const scene = await openNoticeScene(outbox, pool)
    const id = await tell(outbox, about)
    scene.receiver.next(answer)
    await scene.deliver()
    const ahead = (await noticeRow(pool, id))?.seconds_ahead ?? 0
    expect(ahead).toBeGreaterThan(seconds - 5)
    expect(ahead).toBeLessThan(seconds + 5)
  }
})

test('a receiver that asks for rest has it from all notices, for ten minutes at most', async ({ database, outbox }) => {
  const scene = await openNoticeScene(outbox, database.pool)
  const about = await insertConnection(database.pool)
  scene.receiver.next(answers.serverError(500, 60), answers.tooManyRequests(60), answers.tooManyRequests(86_400))
  const count = async (): Promise<number> => {
    await tell(outbox, about)
    await scene.deliver()
    return scene.receiver.requests.length
  }
  expect(await count(), 'one answer 500 speaks for itself').toBe(1)
  expect(await count()).toBe(2)
  expect(await count(), 'at rest').toBe(2)
  scene.advance(61)
  // both that came meanwhile; one is answered with a day of rest
  expect(await count()).toBe(4)
  scene.advance(599)
  expect(await count()).toBe(4)
  scene.advance(2)
  expect(await count()).toBe(6)
})

test('after a day a notice has one last try, and is abandoned on record', async ({ database, outbox }) => {
  const { pool } = database
  const scene = await openNoticeScene(outbox, pool)
  const about = await insertConnection(pool)
  const [young, old, lucky] = [await tell(outbox, about), await tell(outbox, about), await tell(outbox, about)]
  await makeOlder(pool, young, '23 hours 59 minutes')
  scene.receiver.always(answers.text('the app is unwell', { status: 500 }))
  await pool.query(`update notices set next_attempt_at = now() + interval '1 hour' where id <> $1`, [young])
  await scene.deliver()
  expect(await noticeRow(pool, young), 'its day is not over').toMatchObject({ attempts: 1 })

  await makeOlder(pool, old, '24 hours')
  await scene.deliver()
  expect(await noticeRow(pool, old)).toBeUndefined()
  expect(await abandonedOf(pool, old)).toEqual([
    {
      outcome: 'undeliverable',
      zone: 'root',
      actor_kind: 'system',
      connection_id: about.connectionId,
      provider_id: null,
      data: { type: 'connection.attention_required', notice_id: old, attempts: 1 },
    },
  ])
  expect(await scene.logs.waitFor(({ level }) => level === 'error')).toMatchObject({
    notice_id: old,
    type: 'connection.attention_required',
    reason: 'undeliverable',
  })
  expect(await scene.metrics()).toMatch(/nexus_notices_total\{[^}]*outcome="abandoned"[^}]*\} 1\n/)

  // every Broker was down for a week, and the app is well
  scene.receiver.always(undefined)
  await makeOlder(pool, lucky, '7 days')
  await scene.deliver()
  expect(scene.receiver.requests.at(-1)?.headers['webhook-id']).toBe(lucky)
  expect(await abandonedOf(pool, lucky)).toEqual([])
})

test('410 is the end of a notice, and of no other', async ({ database, outbox }) => {
  const scene = await openNoticeScene(outbox, database.pool)
  const about = await insertConnection(database.pool)
  const refused = await tell(outbox, about)
  scene.receiver.next(answers.text('', { status: 410 }))
  await scene.deliver()
  expect(await noticeRow(database.pool, refused)).toBeUndefined()
  expect(await abandonedOf(database.pool, refused)).toMatchObject([{ outcome: 'gone' }])
  await tell(outbox, about)
  await scene.deliver()
  expect(scene.receiver.requests).toHaveLength(2)
})

test('the status decides, whatever the body is and whether it ends', async ({ database, outbox }) => {
  const scene = await openNoticeScene(outbox, database.pool)
  const about = await insertConnection(database.pool)
  for (const answer of [answers.drip(), answers.oversized(5 << 20), answers.cutMidway()]) {
    const id = await tell(outbox, about)
    scene.receiver.next(answer)
    await scene.deliver()
    expect(await noticeRow(database.pool, id)).toBeUndefined()
  }
  expect(scene.logs.lines().filter(({ level }) => level === 'warn')).toEqual([])
})

test('a receiver that never answers is given up after ten seconds, and keeps no other waiting', async ({
  database,
  outbox,
}) => {
  const scene = await openNoticeScene(outbox, database.pool)
  const about = await insertConnection(database.pool)
  const ids = [await tell(outbox, about), await tell(outbox, about)]
  scene.receiver.next(answers.stall())
  const round = scene.deliver()
  const countLeft = async (): Promise<number> =>
    (await Promise.all(ids.map((id) => noticeRow(database.pool, id)))).filter((row) => row !== undefined).length
  await vi.waitFor(async () => expect(await countLeft()).toBe(1), { timeout: 5_000 })
  expect(await round).toBe(false)
  expect(await countLeft()).toBe(1)
  expect(scene.logs.lines().at(-1)).toMatchObject({ failed: 1, of: 2, reasons: ['no complete answer in time'] })
})

test('[R6] a round that is told to stop gives up what is under way after two seconds, and leaves it', async ({
  database,
  outbox,
}) => {
  const { pool } = database
  const scene = await openNoticeScene(outbox, pool)
  const about = await insertConnection(pool)
  const [slow, quick] = [await tell(outbox, about), await tell(outbox, about)]
  // given up is not failed: the last try of an old notice is not used up
  await makeOlder(pool, slow, '2 days')
  const gate = answers.createGate()
  scene.receiver.always((exchange) => {
    if (exchange.request.headers['webhook-id'] === slow) return answers.stall()
    return answers.resolveStep(gate.step, exchange)
  })
  const round = scene.deliver()
  await gate.arrived
  scene.stopping.abort()
  gate.open()
  await round
  expect(await noticeRow(pool, quick), 'what was quick enough is finished').toBeUndefined()
  expect((await noticeRow(pool, slow))?.seconds_ahead, 'the lease brings it back').toBeGreaterThan(20)
  expect(scene.logs.lines().at(-1)?.['reasons']).toEqual(['the request was given up'])
  expect(await abandonedOf(pool, slow)).toEqual([])
})

test('a receiver that cannot be reached at all is one that failed', async ({ database, outbox }) => {
  const scene = await openNoticeScene(outbox, database.pool, { url: `http://127.0.0.1:${await freePort()}/` })
  const id = await tell(outbox, await insertConnection(database.pool))
  await scene.deliver()
  expect(await noticeRow(database.pool, id)).toMatchObject({ attempts: 1 })
  expect(scene.logs.lines().at(-1)?.['reasons']).toEqual(['no answer (ECONNREFUSED)'])
})
