import { randomBytes } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { createMetrics, renderMetrics } from '@nexus/service'
import { expect, onTestFinished } from 'vitest'
import { createNoticeMetrics } from '../src/notices/notice-metrics.ts'
import { createNoticeRecorder } from '../src/notices/notice-recorder.ts'
import { waitForBlocked } from './database-tools.ts'
import { insertConnection, noticeRow, openNoticeScene, openOutbox, tell, test, verify } from './notice-scene.ts'

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

test('the code of docs/webhooks.md takes what is sent, and nothing else', async ({ database, outbox }) => {
  const document = await readFile(new URL('../../../docs/webhooks.md', import.meta.url), 'utf8')
  const code = /```js\n([^]*?)```/.exec(document)?.[1] ?? ''
  const { readNotice } = await import(`data:text/javascript,${encodeURIComponent(code)}`)
  const [old, next] = [randomBytes(32), randomBytes(32)]
  const scene = await openNoticeScene(outbox, database.pool, { secrets: [old, next] })
  const about = await insertConnection(database.pool)
  const id = await tell(outbox, about)
  await scene.deliver()

  const { headers, body } = scene.receiver.requests[0]!
  const write = (secret: Buffer) => `whsec_${secret.toString('base64')}`
  for (const rawBody of [body, Buffer.from(body)]) {
    const notice = { id, type: 'connection.attention_required', data: { connection_id: about.connectionId } }
    expect(readNotice(write(next), headers, rawBody)).toMatchObject(notice)
    expect(readNotice(write(old), headers, rawBody)).toMatchObject(notice)
  }
  expect(() => readNotice(write(randomBytes(32)), headers, body)).toThrow('does not fit')
  expect(() => readNotice(write(old), headers, `${body} `)).toThrow('does not fit')
  expect(() => readNotice(write(old), { ...headers, 'webhook-id': 'another' }, body)).toThrow('does not fit')
  const { 'webhook-signature': _, ...unsigned } = headers
  expect(() => readNotice(write(old), unsigned, body)).toThrow('does not fit')
  expect(() => readNotice(write(old), { ...headers, 'webhook-timestamp': '1' }, body)).toThrow('too old')
  expect(() => readNotice(write(old), { ...headers, 'webhook-timestamp': undefined }, body)).toThrow('too old')
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
