import { randomBytes } from 'node:crypto'
import { answers, startTcpProxy } from '@nexus/testing'
import { expect, onTestFinished, vi } from 'vitest'
import { startNoticeLoop } from '../src/notices/start-notice-loop.ts'
import { openPlainConnection } from './connection-scene.ts'
import { dumpTables, waitForBlocked, whileLocked } from './database-tools.ts'
import { spawnTestBroker, startTestBroker } from './harness.ts'
import { findLeaks } from './leak-scene.ts'
import {
  abandonedOf,
  insertConnection,
  makeDue,
  makeOlder,
  noticeRow,
  openNoticeScene,
  openReceiver,
  tell,
  tellMany,
  test,
  verify,
} from './notice-scene.ts'

const timeout = 60_000
const secret = randomBytes(32)

const webhookTo = (url: string) => ({
  WEBHOOK_URL: url,
  WEBHOOK_SECRET: `whsec_${secret.toString('base64')}`,
})

/** Processes end with their test, whatever becomes of it. */
async function spawnSender(database: { readonly url: string }, url: string) {
  const broker = await spawnTestBroker(database, { env: webhookTo(url) })
  onTestFinished(() => broker[Symbol.asyncDispose]())
  return broker
}

const idsOf = (requests: readonly { readonly headers: Readonly<Record<string, unknown>> }[]) =>
  requests.map(({ headers }) => headers['webhook-id'])

test(
  'killed between the receiver’s 200 and the delete: another Broker sends it again, under the same id',
  { timeout },
  async ({ database, outbox }) => {
    const { pool } = database
    const receiver = await openReceiver()
    const first = await spawnSender(database, receiver.url)
    const gate = answers.createGate()
    receiver.next(gate.step)
    const id = await tell(outbox, await insertConnection(pool))
    await gate.arrived
    await whileLocked(pool, `select from notices where id = '${id}' for update`, async () => {
      gate.open()
      await waitForBlocked(pool)
      await first.kill9()
      // PostgreSQL notices a client's end after the statement in hand, which must not have been sent yet
      await pool.query(
        `select pg_terminate_backend(pid) from pg_stat_activity
          where datname = current_database() and wait_event_type = 'Lock' and application_name = 'nexus-broker'`,
      )
    })
    expect(await noticeRow(pool, id), 'the receiver knows, and the outbox does not').toBeDefined()

    const second = await spawnSender(database, receiver.url)
    await makeDue(pool, id)
    await vi.waitFor(async () => expect(await noticeRow(pool, id)).toBeUndefined(), timeout)
    expect(idsOf(receiver.requests)).toEqual([id, id])
    for (const request of receiver.requests) verify(request, secret)
    expect(await second.stop()).toEqual({ exitCode: 0, signal: null })
  },
)

test('two Brokers share the work, and nothing is sent twice', { timeout }, async ({ database, outbox }) => {
  const receiver = await openReceiver()
  const about = await insertConnection(database.pool)
  const brokers = await Promise.all([spawnSender(database, receiver.url), spawnSender(database, receiver.url)])
  for (let n = 0; n < 20; n++) await tellMany(outbox, about, 10)
  await vi.waitFor(async () => expect((await database.pool.query('select from notices')).rowCount).toBe(0), timeout)
  expect(receiver.requests).toHaveLength(200)
  expect(new Set(idsOf(receiver.requests)).size).toBe(200)
  const counts = await Promise.all(brokers.map(countDelivered))
  expect(counts.reduce((sum, count) => sum + count, 0)).toBe(200)
})

async function countDelivered(broker: Awaited<ReturnType<typeof spawnSender>>): Promise<number> {
  const { text } = await broker.get('/metrics')
  return Number(/nexus_notices_total\{[^}]*outcome="delivered"[^}]*\} (\d+)/.exec(text)?.[1] ?? 0)
}

test('[R6] SIGTERM: a delivery under way is finished', { timeout }, async ({ database, outbox }) => {
  const receiver = await openReceiver()
  const broker = await spawnSender(database, receiver.url)
  const gate = answers.createGate()
  receiver.next(gate.step)
  const id = await tell(outbox, await insertConnection(database.pool))
  await gate.arrived
  const ending = broker.stop('SIGTERM')
  await broker.waitForOutput(/is draining/)
  const late = await tell(outbox, await insertConnection(database.pool))
  gate.open()
  expect(await ending).toEqual({ exitCode: 0, signal: null })
  expect(await noticeRow(database.pool, id)).toBeUndefined()
  expect(await noticeRow(database.pool, late), 'no further round began').toMatchObject({ attempts: 0 })
  expect(receiver.requests).toHaveLength(1)
  await database.pool.query('delete from notices')
})

test(
  '[R6] SIGTERM: a delivery that does not end is given up, and not lost',
  { timeout },
  async ({ database, outbox }) => {
    const receiver = await openReceiver()
    const broker = await spawnSender(database, receiver.url)
    const { id: connectionId, provider } = await openPlainConnection(broker)
    const gate = answers.createGate('after')
    provider.next('token', gate.step)
    const refreshing = broker.post(`/connections/${connectionId}/refresh`)
    await gate.arrived
    receiver.next(answers.stall())
    const id = await tell(outbox, { connectionId })
    await vi.waitFor(() => expect(receiver.requests).toHaveLength(1), timeout)
    const ending = broker.stop('SIGTERM')
    // while a caller is still served: deliveries are told at the signal, not when everything else is over
    await broker.waitForOutput(/the request was given up/, 6_000)
    gate.open()
    expect((await refreshing).status).toBe(200)
    expect(await ending).toEqual({ exitCode: 0, signal: null })
    expect(await noticeRow(database.pool, id)).toMatchObject({ attempts: 1 })
    await database.pool.query('delete from notices')
  },
)

test(
  'the database is away when the answer comes: sent again, and the Broker lives',
  { timeout },
  async ({ database, outbox }) => {
    const { pool } = database
    await using proxy = await startTcpProxy({ port: Number(new URL(database.url).port) })
    const receiver = await openReceiver()
    const broker = await spawnSender({ url: proxy.url(database.url) }, receiver.url)
    const gate = answers.createGate()
    receiver.next(gate.step)
    const id = await tell(outbox, await insertConnection(pool))
    await gate.arrived
    await proxy.refuse()
    gate.open()
    await broker.waitForOutput(/"notices were not delivered"/)
    expect(await noticeRow(pool, id)).toMatchObject({ attempts: 1 })
    await proxy.accept()
    await makeDue(pool, id)
    await vi.waitFor(async () => expect(await noticeRow(pool, id)).toBeUndefined(), timeout)
    expect(idsOf(receiver.requests)).toEqual([id, id])
    expect((await broker.get('/health/ready')).status).toBe(200)
  },
)

test.for([
  ['http://198.51.100.7/nexus-canary', 'must use https, or lead to an address that ALLOW_PRIVATE_NETWORKS opens'],
  ['https://user:nexus-canary@app.example/', 'must not carry user information'],
  ['https://nexus-canary.example:99999/', 'is not a URL'],
  ['https://169.254.169.254/nexus-canary', 'leads to an address that is not allowed (ALLOW_PRIVATE_NETWORKS)'],
] as const)(
  '[P4] a WEBHOOK_URL that is refused is named at the start, not shown (%s)',
  async ([url, reason], { database }) => {
    await using broker = await startTestBroker(database, { env: webhookTo(url) })
    const line = await broker.logs.waitFor(({ msg }) => String(msg).startsWith('WEBHOOK_URL is refused'))
    expect(line).toMatchObject({ level: 'warn', reason })
    expect((await broker.get('/health/ready')).status, 'everything else works').toBe(200)
    expect(broker.logs.text()).not.toContain('nexus-canary')
  },
)

test(
  '[L1] neither URL nor secret nor what the receiver says stands in log, metrics or database',
  { timeout },
  async ({ database, outbox }) => {
    const canary = (name: string): string => `canary-${name}-${'Zx9'.repeat(8)}`
    const secrets = new Map([
      ['path', canary('path')],
      ['query', canary('query')],
      ['body', canary('body')],
      ['header', canary('header')],
      ['reason', canary('reason')],
      ['WEBHOOK_SECRET', secret.toString('base64')],
      ['the bytes of it', secret.toString('hex')],
    ])
    const receiver = await openReceiver()
    const broker = await spawnSender(database, `${receiver.url}/${canary('path')}?key=${canary('query')}`)
    const about = await insertConnection(database.pool)
    const headers = { 'x-why': canary('header'), location: `http://169.254.169.254/${canary('header')}` }
    const wrong = [
      answers.text(canary('body'), { status: 500, headers }),
      answers.text(canary('body'), { status: 307, headers }),
      answers.text(canary('body'), { status: 410, headers }),
      answers.text(canary('body'), { status: 200, headers: { 'content-encoding': 'gzip' } }),
      answers.cutMidway(),
      answers.cutConnection(),
    ]
    receiver.next(...wrong)
    for (const _ of wrong) await tell(outbox, about)
    await vi.waitFor(() => expect(receiver.requests.length).toBeGreaterThanOrEqual(wrong.length), timeout)
    const metrics = (await broker.get('/metrics')).text
    expect(metrics).toContain('nexus_notices_total')
    expect(await broker.stop()).toEqual({ exitCode: 0, signal: null })
    const output = broker.output()
    for (const word of ['notices were not delivered', 'a notice was abandoned', 'redirects are not followed']) {
      expect(output).toContain(word)
    }
    const dump = await dumpTables(database.pool)
    expect(dump).toContain('notice.abandoned')
    for (const text of [output, metrics, dump]) expect(findLeaks(text, secrets)).toEqual([])
    await database.pool.query('delete from notices')
  },
)

test('without a webhook nothing is sent, and what waits goes after its day, on record', async ({
  database,
  outbox,
}) => {
  const { pool } = database
  const scene = await openNoticeScene(outbox, pool)
  const about = await insertConnection(pool)
  const [young, old] = [await tell(outbox, about), await tell(outbox, about)]
  await makeOlder(pool, young, '23 hours 59 minutes')
  await makeOlder(pool, old, '24 hours')
  const { webhook: _, ...deps } = scene.deps
  await using _loop = startNoticeLoop({ ...deps, random: () => 0, assertUrlAllowed: async () => undefined }, undefined)
  await expect.poll(() => noticeRow(pool, old)).toBeUndefined()
  expect(await noticeRow(pool, young)).toBeDefined()
  expect(await abandonedOf(pool, old)).toMatchObject([{ outcome: 'not_configured', connection_id: about.connectionId }])
  expect(scene.receiver.requests).toEqual([])
})
