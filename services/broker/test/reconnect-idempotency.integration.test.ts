import { expect } from 'vitest'
import { openConnection } from './connection-scene.ts'
import { consent, openLink, returned, send, test } from './handshake-scene.ts'
import { appUrl, startTestBroker } from './harness.ts'
import { reconnect } from './reconnect-scene.ts'

async function expectExpired(authUrl: string): Promise<void> {
  const page = await send(authUrl)
  expect(page).toMatchObject({ status: 410, location: undefined })
  expect(page.text).toContain('has expired')
  expect(page.headers.has('set-cookie')).toBe(false)
}

test('the same key and body: one reconnect, a fresh link each time, and the first to finish ends it', async ({
  broker,
}) => {
  const { id } = await openConnection(broker)
  const wanted = { scopes: ['openid'], metadata: { a: 1, b: { c: 2, d: 3 } } }
  const reordered = { metadata: { b: { d: 3, c: 2 }, a: 1 }, scopes: ['openid'] }
  const [first, second] = [
    await reconnect(broker, id, wanted, 'key-1'),
    await reconnect(broker, id, reordered, 'key-1'),
  ]
  expect([first.status, second.status]).toEqual([200, 200])
  expect(second.body.authUrl).not.toBe(first.body.authUrl)
  // whoever got the first answer may still use it
  const [older, newer] = [await openLink(first.body.authUrl), await openLink(second.body.authUrl)]
  expect(returned(await send(await consent(older), { cookie: older.cookie }))).toMatchObject({ status: 'success' })
  expect(returned(await send(await consent(newer), { cookie: newer.cookie }))).toMatchObject({
    status: 'error',
    error: 'already_completed',
  })
  expect(await send(second.body.authUrl)).toMatchObject({ status: 410 })
  expect(await reconnect(broker, id, wanted, 'key-1')).toMatchObject({
    status: 409,
    body: { code: 'already_completed', details: { connection_id: id } },
  })
})

test('a key is one request: with another body, connection or route it is 422, and changes nothing', async ({
  broker,
}) => {
  const { provider, id } = await openConnection(broker)
  const { id: other } = await openConnection(broker)
  const { body } = await reconnect(broker, id, {}, 'key-2')
  const mismatch = { status: 422, body: { code: 'idempotency_mismatch' } }
  expect(await reconnect(broker, id, { scopes: ['read'] }, 'key-2')).toMatchObject(mismatch)
  expect(await reconnect(broker, id, { allow_account_change: true }, 'key-2')).toMatchObject(mismatch)
  expect(await reconnect(broker, other, {}, 'key-2')).toMatchObject(mismatch)
  const spec = { workspace_id: 'user-1', provider_name: provider.name }
  const headers = { 'idempotency-key': 'key-2' }
  expect(await broker.send('POST', '/auth/consent-spec', { body: spec, headers })).toMatchObject(mismatch)
  expect(await send(body.authUrl)).toMatchObject({ status: 303 })

  const first = await broker.send('POST', '/auth/consent-spec', {
    body: { ...spec, return_url: appUrl },
    headers: { 'idempotency-key': 'key-3' },
  })
  expect(first.status).toBe(200)
  expect(await reconnect(broker, id, {}, 'key-3')).toMatchObject(mismatch)
})

test('a key whose reconnect was refused, or replaced by a newer one, is 409; one whose link expired gets another', async ({
  broker,
  database,
}) => {
  const over = { status: 409, body: { code: 'already_completed' } }
  const { provider, id } = await openConnection(broker)
  const first = await reconnect(broker, id, {}, 'key-4')
  await database.pool.query(`update handshakes set expires_at = now() where connection_id = $1`, [id])
  const again = await reconnect(broker, id, {}, 'key-4')
  expect(again.status).toBe(200)
  await expectExpired(first.body.authUrl)
  expect(await send(again.body.authUrl)).toMatchObject({ status: 303 })

  const newer = await reconnect(broker, id, {}, 'key-5')
  await expectExpired(again.body.authUrl)
  expect(await reconnect(broker, id, {}, 'key-4')).toMatchObject(over)
  expect(await send(newer.body.authUrl), 'a late repetition kills nothing').toMatchObject({ status: 303 })

  provider.behave({ authorization: { error: 'access_denied' } })
  const departure = await openLink(newer.body.authUrl)
  await send(await consent(departure), { cookie: departure.cookie })
  expect(await reconnect(broker, id, {}, 'key-5')).toMatchObject(over)
})

test('twenty requests of one key at once, over two Brokers, are one reconnect', async ({ broker, database }) => {
  await using other = await startTestBroker(database, {
    env: { BASE_URL: broker.url, AUTH_RATE_LIMIT_PER_MINUTE: '0' },
  })
  const { id } = await openConnection(broker)
  const one = await Promise.all(
    Array.from({ length: 20 }, (_, index) => reconnect(index % 2 === 0 ? broker : other, id, {}, 'key-6')),
  )
  expect(one.map(({ status }) => status)).toEqual(Array(20).fill(200))
  const opened = await Promise.all(one.map(({ body }) => send(body.authUrl)))
  expect(opened.map(({ status }) => status)).toEqual(Array(20).fill(303))

  // two connections and one key: one of them wins it
  const { id: another } = await openConnection(broker)
  const two = await Promise.all(
    Array.from({ length: 20 }, (_, index) => reconnect(broker, index % 2 === 0 ? id : another, {}, 'key-7')),
  )
  const count = (status: number) => two.filter((answer) => answer.status === status).length
  expect([count(200), count(422)]).toEqual([10, 10])
})

test('a refused request uses no key up', async ({ broker }) => {
  const { id } = await openConnection(broker)
  expect(await reconnect(broker, id, { scopes: ['admin'] }, 'key-8')).toMatchObject({ status: 422 })
  expect((await reconnect(broker, id, {}, 'key-8')).status).toBe(200)
})
