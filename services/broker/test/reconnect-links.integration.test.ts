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
import { type Client, fileKeys, readToken, requestConnection, startTestBroker } from './harness.ts'
import { everythingOf, issued, owedTokens, requestReconnect, setStatus, travelAgain } from './reconnect-scene.ts'

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
