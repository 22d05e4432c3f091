import { answers, freePort } from '@nexus/testing'
import { expect } from 'vitest'
import {
  type Arrival,
  type Journey,
  type Scripted,
  arrive,
  atServer,
  auditOf,
  connectionOf,
  holdHandshake,
  openProvider,
  returned,
  send,
  test as base,
  travel,
} from './handshake-scene.ts'
import { type Client, readToken, spawnTestBroker } from './harness.ts'

const many = 50
// two processes have to start, on machines that do other things too
const timeout = 60_000

/** Two Brokers in processes of their own behind one public origin. */
const test = base.extend('pair', { scope: 'file' }, async ({ database }, { onCleanup }) => {
  const port = await freePort()
  const env = { BASE_URL: `http://127.0.0.1:${port}`, LOG_LEVEL: 'warn', AUTH_RATE_LIMIT_PER_MINUTE: '0' }
  const brokers = await Promise.all([spawnTestBroker(database, { port, env }), spawnTestBroker(database, { env })])
  onCleanup(async () => {
    await Promise.all(brokers.map((broker) => broker[Symbol.asyncDispose]()))
  })
  return brokers
})

type Pair = readonly [Client & { readonly url: string }, Client & { readonly url: string }]

/** The same callback `many` times at once, one half to each Broker; `cookieAt` says what each of them carries. */
function storm(pair: Pair, { callback }: Journey, cookieAt: (index: number) => string | undefined): Promise<Arrival[]> {
  return Promise.all(
    Array.from({ length: many }, (_, index) =>
      send(atServer(callback, (index % 2 === 0 ? pair[0] : pair[1]).url), { cookie: cookieAt(index) }),
    ),
  )
}

async function expectOneGrant(broker: Client, provider: Scripted, { callback, connection_id }: Journey): Promise<void> {
  const code = callback.searchParams.get('code') ?? ''
  expect(provider.counts().codesExchanged.get(code)).toBe(1)
  expect(provider.violations).toEqual([])
  expect(await connectionOf(broker, connection_id)).toMatchObject({ status: 'active' })
  expect((await readToken(broker, connection_id)).status).toBe(200)
  const completed = (await auditOf(broker, connection_id)).filter((line) => line.startsWith('oauth_flow_completed'))
  expect(completed).toEqual(['oauth_flow_completed success'])
}

test(
  '[H2] of 50 identical callbacks over two Brokers one sends the code, and all land alike',
  { timeout },
  async ({ pair, database }) => {
    const provider = await openProvider(pair[0])
    const journey = await travel(pair[0], provider)
    const held = await holdHandshake(database, journey.connection_id)
    const landing = storm(pair, journey, () => journey.cookie)
    await held.waitForOthers(12)
    await held.release()
    for (const arrival of await landing) {
      expect(returned(arrival)).toEqual({
        from: 'app',
        status: 'success',
        connection_id: journey.connection_id,
        provider: provider.name,
      })
    }
    await expectOneGrant(pair[1], provider, journey)
  },
)

test('[H2] without the cookie 49 of them end on a harmless page', { timeout }, async ({ pair }) => {
  const provider = await openProvider(pair[0])
  const journey = await travel(pair[0], provider)
  const person = 23
  const arrivals = await storm(pair, journey, (index) => (index === person ? journey.cookie : undefined))
  const [own] = arrivals.splice(person, 1)
  expect(own?.location?.searchParams.get('status')).toBe('success')
  expect(arrivals).toHaveLength(many - 1)
  for (const { status, location, headers } of arrivals) {
    expect([403, 410]).toContain(status)
    expect(location).toBeUndefined()
    expect(headers.has('set-cookie')).toBe(false)
  }
  await expectOneGrant(pair[1], provider, journey)
})

test('[H2] where the exchange fails, all 50 land on the same error', { timeout }, async ({ pair }) => {
  const provider = await openProvider(pair[0])
  const journey = await travel(pair[0], provider)
  provider.next('token', answers.oauthError('invalid_grant'))
  for (const arrival of await storm(pair, journey, () => journey.cookie)) {
    expect(returned(arrival)).toMatchObject({ status: 'error', error: 'provider_rejected' })
  }
  expect(provider.requestsTo('token')).toHaveLength(1)
  expect(await connectionOf(pair[1], journey.connection_id)).toMatchObject({ status: 'failed' })
})

test('[H2] the attempts of one link on two Brokers at once make one grant', { timeout }, async ({ pair }) => {
  const [first, second] = pair
  const provider = await openProvider(first)
  const journeys = await Promise.all(Array.from({ length: 4 }, () => travel(first, provider)))
  // each of them a link of its own: the Brokers share no state but the database
  const landings = await Promise.all(
    journeys.flatMap(({ callback, cookie }) =>
      [first, second].map((broker) => send(atServer(callback, broker.url), { cookie })),
    ),
  )
  for (const landing of landings) expect(returned(landing)).toMatchObject({ status: 'success' })
  for (const journey of journeys) await expectOneGrant(second, provider, journey)
})

test('[H2] a replay goes where the winner went, with the cookie, and says that all is done without', async ({
  broker,
}) => {
  for (const error of [undefined, 'access_denied']) {
    const provider = await openProvider(broker, { provider: { behaviour: { authorization: { error } } } })
    const journey = await travel(broker, provider)
    const winner = await arrive(journey)
    for (const _ of [1, 2]) {
      const replay = await arrive(journey)
      expect(replay.location?.href).toBe(winner.location?.href)
    }
    const stranger = await send(journey.callback)
    expect(stranger).toMatchObject({ status: 410, location: undefined })
    expect(stranger.text).toContain('already used')
    const changed = new URL(journey.callback)
    changed.searchParams.set('code', 'another')
    expect((await send(changed, { cookie: journey.cookie })).location?.href).toBe(winner.location?.href)
    expect(provider.requestsTo('token')).toHaveLength(error === undefined ? 1 : 0)
    expect(await auditOf(broker, journey.connection_id)).toContain('state_verification_failed already_completed')
  }
})

test('[H2] a replay that comes during the exchange waits for it', async ({ broker }) => {
  const provider = await openProvider(broker)
  const journey = await travel(broker, provider)
  const gate = answers.createGate()
  provider.next('token', gate.step)
  const winner = arrive(journey)
  await gate.arrived
  const waiting = arrive(journey)
  expect(await send(journey.callback)).toMatchObject({ status: 410 })
  expect(await send(journey.authUrl)).toMatchObject({ status: 410 })
  gate.open()
  for (const landing of [await winner, await waiting]) expect(returned(landing)).toMatchObject({ status: 'success' })
  expect(provider.requestsTo('token')).toHaveLength(1)
})
