import { createStateSigner } from '@nexus/crypto'
import { answers } from '@nexus/testing'
import { expect } from 'vitest'
import { openConnection } from './connection-scene.ts'
import {
  type Journey,
  arrive,
  atServer,
  connectionOf,
  consent,
  openLink,
  openProvider,
  returned,
  send,
  test,
  travel,
} from './handshake-scene.ts'
import { type Client, appUrl, fileKeys, readToken, requestConnection, startTestBroker } from './harness.ts'
import {
  everythingOf,
  issued,
  owedTokens,
  reconnect,
  requestReconnect,
  setStatus,
  travelAgain,
} from './reconnect-scene.ts'

async function expectExpired(authUrl: string): Promise<void> {
  const page = await send(authUrl)
  expect(page).toMatchObject({ status: 410, location: undefined })
  expect(page.text).toContain('has expired')
  expect(page.headers.has('set-cookie')).toBe(false)
}

for (const status of ['pending', 'active', 'attention_required', 'expired']) {
  test(`${status}: a newer link takes the place of the older, and what is under way on that one completes nothing`, async ({
    broker,
    database,
  }) => {
    const provider = await openProvider(broker)
    const first = await travel(broker, provider)
    const { connection_id: id } = first
    if (status === 'active' || status === 'attention_required') await arrive(first)
    await setStatus(database.pool, id, status)
    const old = status === 'pending' ? first : await travelAgain(broker, id)
    const before = await connectionOf(broker, id)
    const exchanged = provider.requestsTo('token').length

    const fresh = await travelAgain(broker, id)
    await expectExpired(old.authUrl)
    expect(returned(await arrive(old))).toMatchObject({ status: 'error', error: 'link_expired' })
    expect(provider.requestsTo('token'), 'no code of an old link is presented').toHaveLength(exchanged)
    expect((await connectionOf(broker, id)).status).toBe(before.status)

    expect(returned(await arrive(fresh))).toMatchObject({ status: 'success', connection_id: id })
    expect((await readToken(broker, id)).status).toBe(200)
    for (const { authUrl } of [old, fresh]) expect(await send(authUrl)).toMatchObject({ status: 410 })
    expect(returned(await arrive(old))).toMatchObject({ status: 'error' })
    expect(provider.requestsTo('token')).toHaveLength(exchanged + 1)
  })
}

/** Holds the exchange of a code until it is let go. */
function hold(provider: Awaited<ReturnType<typeof openProvider>>, journey: Journey) {
  const gate = answers.createGate('after')
  provider.next('token', gate.step)
  return { arrival: arrive(journey), ...gate }
}

test('a newer link ends an exchange under way: its grant is dropped, and never revoked', async ({
  broker,
  database,
}) => {
  const { provider, id } = await openConnection(broker)
  const before = await everythingOf(database.pool, id)
  const held = hold(provider, await travelAgain(broker, id))
  await held.arrived
  const fresh = await travelAgain(broker, id)
  held.open()
  expect(returned(await held.arrival)).toMatchObject({ status: 'error', error: 'link_expired' })
  expect(await everythingOf(database.pool, id)).toEqual(before)
  expect((await owedTokens(database.pool, provider, id)).size).toBe(0)

  expect(returned(await arrive(fresh))).toMatchObject({ status: 'success' })
  expect((await readToken(broker, id)).body.access_token).toBe(issued(provider, 'access')[2])
})

test('[H11] the failure of an exchange whose link was replaced does not fail the pending connection', async ({
  broker,
}) => {
  const provider = await openProvider(broker)
  const journey = await travel(broker, provider)
  const gate = answers.createGate('after', answers.oauthError('invalid_grant'))
  provider.next('token', gate.step)
  const arrival = arrive(journey)
  await gate.arrived
  const fresh = await travelAgain(broker, journey.connection_id)
  gate.open()
  expect(returned(await arrival)).toMatchObject({ status: 'error' })
  expect(await connectionOf(broker, journey.connection_id)).toMatchObject({ status: 'pending' })
  expect(returned(await arrive(fresh))).toMatchObject({ status: 'success' })
})

test('twenty reconnects at once over two Brokers leave one link that opens', async ({ broker, database }) => {
  await using other = await startTestBroker(database, {
    env: { BASE_URL: broker.url, AUTH_RATE_LIMIT_PER_MINUTE: '0' },
  })
  const { id } = await openConnection(broker)
  const links = await Promise.all(
    Array.from({ length: 20 }, (_, index) => requestReconnect(index % 2 === 0 ? broker : other, id)),
  )
  const opened = await Promise.all(links.map(({ authUrl }) => send(authUrl)))
  const count = (wanted: number) => opened.filter(({ status }) => status === wanted).length
  expect([count(303), count(410)]).toEqual([1, 19])
})

test('reconnects asked for while their callbacks arrive get in nobody’s way', async ({ broker, database }) => {
  await using other = await startTestBroker(database, {
    env: { BASE_URL: broker.url, AUTH_RATE_LIMIT_PER_MINUTE: '0' },
  })
  const { provider, id } = await openConnection(broker)
  for (let round = 0; round < 5; round++) {
    const journey = await travelAgain(broker, id)
    const [landed, link] = await Promise.all([
      send(atServer(journey.callback, other.url), { cookie: journey.cookie }),
      requestReconnect(broker, id),
    ])
    expect(['success', 'error']).toContain(returned(landed)['status'])
    // whoever came first: the newest link opens, unless the callback's success ended it
    expect([303, 410]).toContain((await send(link.authUrl)).status)
    expect((await readToken(other, id)).status).toBe(200)
  }
  expect(provider.violations).toEqual([])
})

const signer = createStateSigner({ key: Buffer.from(fileKeys.STATE_KEY, 'base64') })

test('[H1] [H4] a reconnect of one connection cannot be completed for another', async ({ broker, database }) => {
  const provider = await openProvider(broker)
  const [mine, theirs] = [await openAt(broker, provider.name), await openAt(broker, provider.name)]
  const before = await Promise.all([mine, theirs].map((id) => everythingOf(database.pool, id)))
  const [journey, foreign] = [await travelAgain(broker, mine), await travelAgain(broker, theirs)]
  const exchanged = provider.requestsTo('token').length

  const claims = signer.verify(journey.state)
  if (claims === undefined) throw new Error('the state is not signed by the key of this file')
  const renamed = new URL(journey.callback)
  renamed.searchParams.set('state', signer.sign({ ...claims, connectionId: theirs }))
  const request = new URL(journey.callback)
  request.searchParams.set('state', (await requestReconnect(broker, (await openConnection(broker)).id)).state)
  const cookies = `${journey.cookie}; ${foreign.cookie}`
  for (const [callback, cookie, status] of [
    [renamed, cookies, 400],
    [request, cookies, 400],
    [journey.callback, foreign.cookie, 403],
    [foreign.callback, journey.cookie, 403],
    [journey.callback, undefined, 403],
  ] as const) {
    expect(await send(callback, { cookie })).toMatchObject({ status, location: undefined })
  }
  expect(provider.requestsTo('token')).toHaveLength(exchanged)
  expect(await Promise.all([mine, theirs].map((id) => everythingOf(database.pool, id)))).toEqual(before)

  // a code of the one under the state of the other: the verifier does not fit
  const swapped = new URL(journey.callback)
  swapped.searchParams.set('code', foreign.callback.searchParams.get('code') ?? '')
  expect(returned(await send(swapped, { cookie: journey.cookie }))).toMatchObject({ error: 'provider_rejected' })
  expect(await everythingOf(database.pool, mine)).toEqual(before[0])
})

async function openAt(broker: Client, name: string): Promise<string> {
  const { authUrl, connection_id } = await requestConnection(broker, { provider_name: name })
  const departure = await openLink(authUrl)
  await send(await consent(departure), { cookie: departure.cookie })
  return connection_id
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
