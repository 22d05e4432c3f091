import { randomBytes } from 'node:crypto'
import { type StateClaims, createStateSigner } from '@nexus/crypto'
import { expect } from 'vitest'
import {
  type Journey,
  arrive,
  atServer,
  auditOf,
  connectionOf,
  openLink,
  openProvider,
  returned,
  send,
  test,
  travel,
} from './handshake-scene.ts'
import { type Client, fileKeys, requestConnection, startTestBroker } from './harness.ts'

const signer = createStateSigner({ key: Buffer.from(fileKeys.STATE_KEY, 'base64') })

function withState(journey: Journey, state: string): URL {
  const url = new URL(journey.callback)
  url.searchParams.set('state', state)
  return url
}

/** The journey's state with other claims, signed by the right key: what only a fault of ours could bring about. */
function resign(journey: Journey, change: Partial<StateClaims>): string {
  const claims = signer.verify(journey.state)
  if (claims === undefined) throw new Error('the state is not signed by the key of this file')
  return signer.sign({ ...claims, ...change })
}

/** Nothing has changed: the connection waits, and the person's own callback still succeeds. */
async function expectUntouched(broker: Client, journey: Journey): Promise<void> {
  expect(await connectionOf(broker, journey.connection_id)).toMatchObject({ status: 'pending' })
  expect(returned(await arrive(journey))).toMatchObject({ status: 'success' })
}

test('[H1] a state holds ids and a time, and nothing about the person', async ({ broker }) => {
  const provider = await openProvider(broker)
  const { authUrl, connection_id, state } = await requestConnection(broker, {
    provider_name: provider.name,
    workspace_id: 'ada@example.test',
    metadata: { person: 'Ada' },
  })
  const attempt = await openLink(authUrl)
  for (const [text, purpose] of [
    [state, 'request'],
    [attempt.state, 'oauth'],
  ] as const) {
    const payload = JSON.parse(Buffer.from(text.split('.')[0] ?? '', 'base64url').toString())
    expect(Object.keys(payload).toSorted()).toEqual(['connection_id', 'iat', 'jti', 'kid', 'purpose', 'v'])
    expect(payload).toMatchObject({ purpose, connection_id, jti: expect.stringMatching(/^[\w-]{43}$/) })
  }
  expect(attempt.state).not.toBe(state)
})

test('[H1] no spelling of a state but its own is accepted, and trying changes nothing', async ({ broker }) => {
  const provider = await openProvider(broker)
  const journey = await travel(broker, provider)
  const [payload = '', mac = ''] = journey.state.split('.')
  const flip = (text: string, at: number): string =>
    text.slice(0, at) + (text[at] === 'A' ? 'B' : 'A') + text.slice(at + 1)
  const foreign = createStateSigner({ key: randomBytes(32) })
  const claims = signer.verify(journey.state)
  const states = [
    '',
    'x',
    '.',
    payload,
    `${payload}.`,
    `.${mac}`,
    `${journey.state}=`,
    `${journey.state}.`,
    ` ${journey.state}`,
    `${payload}.${mac}.${mac}`,
    `${mac}.${payload}`,
    ...[0, 20, payload.length - 1].map((at) => `${flip(payload, at)}.${mac}`),
    ...[0, 20, 41].map((at) => `${payload}.${flip(mac, at)}`),
    journey.state.toUpperCase(),
    'A'.repeat(2000),
    ...(claims === undefined ? [] : [foreign.sign(claims)]),
  ]
  for (const state of states) {
    const arrival = await send(withState(journey, state), { cookie: journey.cookie })
    expect(arrival, state).toMatchObject({ status: 400, location: undefined })
    expect(arrival.headers.has('set-cookie')).toBe(false)
  }
  const without = new URL(journey.callback)
  without.searchParams.delete('state')
  expect(await send(without, { cookie: journey.cookie })).toMatchObject({ status: 400 })
  expect(provider.requestsTo('token')).toEqual([])
  await expectUntouched(broker, journey)
})

test('[H1] a state of too great length, or given twice, is refused', async ({ broker }) => {
  const provider = await openProvider(broker)
  const journey = await travel(broker, provider)
  const twice = new URL(journey.callback)
  twice.searchParams.append('state', journey.state)
  for (const url of [twice, withState(journey, 'A'.repeat(5000))]) {
    expect(await send(url, { cookie: journey.cookie })).toMatchObject({ status: 400, location: undefined })
  }
  await expectUntouched(broker, journey)
})

test('[H3] a state of another purpose does not open the callback', async ({ broker }) => {
  const provider = await openProvider(broker)
  const { state } = await requestConnection(broker, { provider_name: provider.name })
  const journey = await travel(broker, provider)
  // the one that consent-spec answers; and those of the very attempt, were it signed for something else
  for (const other of [state, resign(journey, { purpose: 'request' }), resign(journey, { purpose: 'capture' })]) {
    expect(await send(withState(journey, other), { cookie: journey.cookie })).toMatchObject({ status: 400 })
  }
  expect(await auditOf(broker, journey.connection_id)).toEqual([
    'connection.requested success',
    'state_verification_failed wrong_purpose',
    'state_verification_failed wrong_purpose',
  ])
  expect(provider.requestsTo('token')).toEqual([])
  await expectUntouched(broker, journey)
})

test('[H1] a state for another connection, or an attempt that never was, opens nothing', async ({ broker }) => {
  const provider = await openProvider(broker)
  const [journey, other] = [await travel(broker, provider), await travel(broker, provider)]
  const jti = randomBytes(32).toString('base64url')
  for (const state of [resign(journey, { connectionId: other.connection_id }), resign(journey, { jti })]) {
    const arrival = await send(withState(journey, state), { cookie: `${journey.cookie}; ${other.cookie}` })
    expect(arrival).toMatchObject({ status: 400, location: undefined })
  }
  await expectUntouched(broker, journey)
  await expectUntouched(broker, other)
})

test('[H6] a state that arrives on the path of another profile is refused', async ({ broker }) => {
  const distinct = await openProvider(broker, { profile: { distinct_redirect_uri: true } })
  const plain = await openProvider(broker, { profile: { distinct_redirect_uri: false } })
  expect(new URL(distinct.redirectUri).pathname).toBe(`/auth/callback/${distinct.name}`)
  expect(new URL(plain.redirectUri).pathname).toBe('/auth/callback')

  for (const [provider, paths] of [
    [distinct, ['/auth/callback', '/auth/callback/another', `/auth/callback/${distinct.name.toUpperCase()}`]],
    [plain, [`/auth/callback/${plain.name}`, `/auth/callback/${distinct.name}`]],
  ] as const) {
    const journey = await travel(broker, provider)
    for (const path of paths) {
      const url = new URL(journey.callback)
      url.pathname = path
      expect(await send(url, { cookie: journey.cookie })).toMatchObject({ status: 400, location: undefined })
    }
    expect(provider.requestsTo('token')).toEqual([])
    await expectUntouched(broker, journey)
  }
})

test('[H1] after a rotation of the key, handshakes under way are finished as long as it is retired', async ({
  broker,
  database,
}) => {
  const provider = await openProvider(broker)
  const [journey, late] = [await travel(broker, provider), await travel(broker, provider)]
  const STATE_KEY = randomBytes(32).toString('base64')
  const keys = { ...fileKeys, STATE_KEY }
  const env = { BASE_URL: broker.url }

  await using rotated = await startTestBroker(database, {
    keys,
    env: { ...env, STATE_KEY_RETIRED: fileKeys.STATE_KEY },
  })
  expect(returned(await send(atServer(journey.callback, rotated.url), { cookie: journey.cookie }))).toMatchObject({
    status: 'success',
  })
  await using gone = await startTestBroker(database, { keys, env })
  expect(await send(atServer(late.callback, gone.url), { cookie: late.cookie })).toMatchObject({ status: 400 })
  await expectUntouched(broker, late)
})

test('[H2] jti, cookie and ticket are kept as hashes, verifier and nonce sealed until they are used', async ({
  broker,
  database,
}) => {
  const provider = await openProvider(broker)
  const journey = await travel(broker, provider)
  const { rows: before } = await database.pool.query(
    `select h::text as handshake, a::text as attempt, a.secrets is not null as sealed
       from handshakes h join handshake_attempts a on a.handshake_id = h.id where h.connection_id = $1`,
    [journey.connection_id],
  )
  const [row] = before
  const { jti } = signer.verify(journey.state) ?? { jti: '' }
  const ticket = journey.authUrl.split('/').at(-1) ?? ''
  const secrets = [jti, ticket, journey.cookie.split('=')[1] ?? '', journey.url.searchParams.get('nonce') ?? '']
  for (const secret of secrets) {
    expect(secret).toMatch(/^[\w-]{43}$/)
    const hex = Buffer.from(secret).toString('hex')
    const raw = Buffer.from(secret, 'base64url').toString('hex')
    for (const text of [secret, hex, raw]) expect(`${row.handshake}${row.attempt}`).not.toContain(text)
  }
  expect(row.sealed).toBe(true)

  await arrive(journey)
  const { rows: after } = await database.pool.query(
    `select a.secrets, a.consumed_at is not null as consumed
       from handshakes h join handshake_attempts a on a.handshake_id = h.id where h.connection_id = $1`,
    [journey.connection_id],
  )
  expect(after).toEqual([{ secrets: null, consumed: true }])
})
