import type { TestDatabase } from '@nexus/testing'
import { expect } from 'vitest'
import {
  arrive,
  connectionOf,
  consent,
  openLink,
  openProvider,
  returned,
  send,
  test,
  travel,
} from './handshake-scene.ts'
import { type Answer, type Client, type Requested, appUrl, startTestBroker } from './harness.ts'

let keys = 0

/** A key that no other test of this file uses. */
function newKey(): string {
  keys += 1
  return `order-${keys}`
}

type Fields = Readonly<Record<string, unknown>>

function specOf(provider: { readonly name: string }, more: Fields = {}): Fields {
  return { workspace_id: 'user-1', provider_name: provider.name, return_url: appUrl, ...more }
}

function request(broker: Client, body: Fields, key: string): Promise<Answer<Requested>> {
  return broker.send<Requested>('POST', '/auth/consent-spec', { body, headers: { 'idempotency-key': key } })
}

async function countConnections(database: Pick<TestDatabase, 'pool'>): Promise<number> {
  const { rows } = await database.pool.query<{ n: number }>('select count(*)::int as n from connections')
  return rows[0]?.n ?? 0
}

test('the same key and body: the same connection, with a fresh link', async ({ broker, database }) => {
  const provider = await openProvider(broker)
  const key = newKey()
  const before = await countConnections(database)
  const spec = specOf(provider, { scopes: ['openid'], metadata: { a: 1, b: { c: [1, 2], d: null } } })
  const reordered = {
    metadata: { b: { d: null, c: [1, 2] }, a: 1 },
    ...Object.fromEntries(Object.entries(spec).toReversed()),
  }
  const [first, second] = [
    await request(broker, spec, key),
    await request(broker, { ...reordered, metadata: spec['metadata'] }, key),
  ]
  expect([first.status, second.status]).toEqual([200, 200])
  expect(second.body.connection_id).toBe(first.body.connection_id)
  expect(second.body.authUrl).not.toBe(first.body.authUrl)
  expect(second.body.state).not.toBe(first.body.state)
  expect(await countConnections(database)).toBe(before + 1)

  // whoever got the first answer may still use it, and the fresh one works
  const opened = [await openLink(first.body.authUrl), await openLink(second.body.authUrl)] as const
  expect(returned(await send(await consent(opened[1]), { cookie: opened[1].cookie }))).toMatchObject({
    status: 'success',
    connection_id: first.body.connection_id,
  })
  // one connection, one grant: the other link comes too late
  expect(returned(await send(await consent(opened[0]), { cookie: opened[0].cookie }))).toMatchObject({
    status: 'error',
    error: 'already_completed',
  })
  expect(provider.requestsTo('token')).toHaveLength(1)
})

test('the same key with another body is refused, and starts nothing', async ({ broker, database }) => {
  const provider = await openProvider(broker)
  const key = newKey()
  const { body } = await request(broker, specOf(provider), key)
  const before = await countConnections(database)
  for (const change of [
    { workspace_id: 'user-2' },
    { scopes: ['read'] },
    { metadata: {} },
    { return_url: `${appUrl}&x=1` },
    { provider_name: undefined, provider_id: provider.providerId },
  ]) {
    expect(await request(broker, specOf(provider, change), key)).toMatchObject({
      status: 422,
      body: { code: 'idempotency_mismatch' },
    })
  }
  expect(await countConnections(database)).toBe(before)
  expect((await request(broker, specOf(provider), key)).body.connection_id).toBe(body.connection_id)
})

test('twenty requests of one key at once, over two Brokers, make one connection', async ({ broker, database }) => {
  await using other = await startTestBroker(database, { env: { BASE_URL: broker.url } })
  const provider = await openProvider(broker)
  const key = newKey()
  const before = await countConnections(database)
  const answers = await Promise.all(
    Array.from({ length: 20 }, (_, index) => request(index % 2 === 0 ? broker : other, specOf(provider), key)),
  )
  expect(answers.map(({ status }) => status)).toEqual(Array(20).fill(200))
  expect(new Set(answers.map(({ body }) => body.connection_id)).size).toBe(1)
  expect(new Set(answers.map(({ body }) => body.authUrl)).size).toBe(20)
  expect(await countConnections(database)).toBe(before + 1)
})

test('twenty requests of one key and two bodies at once: one body wins, the other is told', async ({ broker }) => {
  const provider = await openProvider(broker)
  const key = newKey()
  const answers = await Promise.all(
    Array.from({ length: 20 }, (_, index) =>
      request(broker, specOf(provider, { workspace_id: `user-${index % 2}` }), key),
    ),
  )
  const count = (wanted: number) => answers.filter(({ status }) => status === wanted).length
  expect([count(200), count(422)]).toEqual([10, 10])
})

test('a key whose connection is completed, or failed, is 409', async ({ broker }) => {
  for (const error of [undefined, 'access_denied']) {
    const provider = await openProvider(broker, { provider: { behaviour: { authorization: { error } } } })
    const key = newKey()
    const { body } = await request(broker, specOf(provider), key)
    const departure = await openLink(body.authUrl)
    await send(await consent(departure), { cookie: departure.cookie })
    expect(await request(broker, specOf(provider), key)).toMatchObject({
      status: 409,
      body: { code: 'already_completed', details: { connection_id: body.connection_id } },
    })
  }
})

test.for([
  ['not yet swept', 'pending'],
  ['swept', 'expired'],
] as const)(
  'a key whose link has expired, %s, gives the same connection a fresh one',
  async ([, status], { broker, database }) => {
    const provider = await openProvider(broker)
    const key = newKey()
    const { body } = await request(broker, specOf(provider), key)
    await database.pool.query(
      `with moved as (update handshakes set expires_at = now() where connection_id = $1)
     update connections set pending_until = now(), status = $2 where id = $1`,
      [body.connection_id, status],
    )
    expect(await connectionOf(broker, body.connection_id)).toMatchObject({ status: 'expired' })

    const again = await request(broker, specOf(provider), key)
    expect(again).toMatchObject({ status: 200, body: { connection_id: body.connection_id } })
    expect(await connectionOf(broker, body.connection_id)).toMatchObject({ status: 'pending' })
    expect((await send(body.authUrl)).text).toContain('has expired')
    const departure = await openLink(again.body.authUrl)
    expect(returned(await send(await consent(departure), { cookie: departure.cookie }))).toMatchObject({
      status: 'success',
      connection_id: body.connection_id,
    })
  },
)

test('after 24 hours a key begins anew, whatever became of it', async ({ broker, database }) => {
  const provider = await openProvider(broker)
  const key = newKey()
  const first = await request(broker, specOf(provider), key)
  const age = (hours: string) =>
    database.pool.query('update idempotency_keys set created_at = now() - $2::interval where connection_id = $1', [
      first.body.connection_id,
      hours,
    ])
  await age('23 hours 59 minutes')
  expect((await request(broker, specOf(provider), key)).body.connection_id).toBe(first.body.connection_id)
  await age('24 hours 1 minute')
  const later = await request(broker, specOf(provider, { workspace_id: 'user-2' }), key)
  expect(later.status).toBe(200)
  expect(later.body.connection_id).not.toBe(first.body.connection_id)
  const mismatch = await request(broker, specOf(provider), key)
  expect(mismatch).toMatchObject({ status: 422 })
})

test('a request that is refused uses no key up', async ({ broker }) => {
  const provider = await openProvider(broker)
  const key = newKey()
  for (const [change, code] of [
    [{ scopes: ['admin'] }, 'scope_not_allowed'],
    [{ return_url: 'https://evil.example' }, 'return_url_not_allowed'],
    [{ provider_name: 'nobody' }, 'provider_not_found'],
    [{ zone: 'elsewhere' }, 'zone_not_found'],
    [{ workspace_id: '' }, 'invalid_request'],
  ] as const) {
    expect((await request(broker, specOf(provider, change), key)).body).toMatchObject({ code })
  }
  expect((await request(broker, specOf(provider), key)).status).toBe(200)
})

test('without a key every request is a connection of its own', async ({ broker }) => {
  const provider = await openProvider(broker)
  const [first, second] = [await travel(broker, provider), await travel(broker, provider)]
  expect(first.connection_id).not.toBe(second.connection_id)
  for (const journey of [first, second]) expect(returned(await arrive(journey))).toMatchObject({ status: 'success' })
})

test.for([
  ['empty', ''],
  ['with a space', 'a b'],
  ['too long', 'k'.repeat(256)],
  ['not ASCII', 'schl\u00fcssel'],
] as const)('[C5] a key that is %s is refused', async ([, key], { broker }) => {
  const provider = await openProvider(broker)
  const answer = await request(broker, specOf(provider), key)
  expect(answer).toMatchObject({ status: 400, body: { code: 'invalid_request' } })
})
