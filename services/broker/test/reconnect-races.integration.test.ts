import { randomUUID } from 'node:crypto'
import { answers } from '@nexus/testing'
import { expect } from 'vitest'
import { openConnection, openPlainConnection } from './connection-scene.ts'
import { setSecondsLeft, tokenRow, passAcceptanceGrace } from './database-tools.ts'
import {
  type Scripted,
  arrive,
  atServer,
  auditOf,
  connectionOf,
  consent,
  eventsOf,
  openLink,
  openProvider,
  returned,
  send,
  test,
  travel,
} from './handshake-scene.ts'
import { type Client, readToken, startTestBroker } from './harness.ts'
import { everythingOf, issued, owedTokens, requestReconnect, setStatus, travelAgain } from './reconnect-scene.ts'

/** Holds what comes next at the token endpoint, done and not yet answered. */
function holdAnswer(provider: Scripted) {
  const gate = answers.createGate('after')
  provider.next('token', gate.step)
  return gate
}

async function servedToken(broker: Client, id: string): Promise<string | undefined> {
  return (await readToken(broker, id)).body.access_token
}

test('[H2] of 30 identical callbacks of a reconnect over two Brokers one sends the code, and all land alike', async ({
  broker,
  database,
}) => {
  await using other = await startTestBroker(database, {
    env: { BASE_URL: broker.url, AUTH_RATE_LIMIT_PER_MINUTE: '0' },
  })
  const { provider, id } = await openConnection(broker)
  const journey = await travelAgain(broker, id)
  const landings = await Promise.all(
    Array.from({ length: 30 }, (_, index) =>
      send(atServer(journey.callback, (index % 2 === 0 ? broker : other).url), { cookie: journey.cookie }),
    ),
  )
  for (const landing of landings) expect(returned(landing)).toMatchObject({ status: 'success', connection_id: id })
  expect(provider.counts().codesExchanged.get(journey.callback.searchParams.get('code') ?? '')).toBe(1)
  expect(provider.violations).toEqual([])
  expect((await tokenRow(database.pool, id)).version).toBe(2)
  const reconnected = (await auditOf(other, id)).filter((line) => line.startsWith('connection.reconnected'))
  expect(reconnected).toEqual(['connection.reconnected success'])
})

test.for(['a reconnect', 'a first handshake'])(
  '[P6] disconnected while the code of %s is exchanged: the grant is not stored, and owed a revocation',
  async (kind, { broker, database }) => {
    const provider = await openProvider(broker)
    const first = await travel(broker, provider)
    const { connection_id: id } = first
    if (kind === 'a reconnect') await arrive(first)
    const journey = kind === 'a reconnect' ? await travelAgain(broker, id) : first
    const gate = holdAnswer(provider)
    const arrival = arrive(journey)
    await gate.arrived
    await setStatus(database.pool, id, 'revoked')
    gate.open()
    expect(returned(await arrival)).toMatchObject({ status: 'error', error: 'already_completed' })
    expect(await everythingOf(database.pool, id)).toMatchObject({ connection: { status: 'revoked' }, token: null })
    expect((await owedTokens(database.pool, provider, id)).has(issued(provider, 'refresh').at(-1) ?? '')).toBe(true)
    const queued = (await eventsOf(broker, id)).filter(({ event }) => event === 'revocation.queued')
    expect(queued).toMatchObject([{ outcome: 'success', actor_kind: 'browser' }])
    // nothing opens it again
    expect(await send(journey.authUrl)).toMatchObject({ status: 410 })
    expect(returned(await arrive(journey))).toMatchObject({ error: 'already_completed' })
  },
)

test('[P6] replaced by a newer link and disconnected during one exchange: its grant is owed a revocation too', async ({
  broker,
  database,
}) => {
  const { provider, id } = await openConnection(broker)
  const journey = await travelAgain(broker, id)
  const gate = holdAnswer(provider)
  const arrival = arrive(journey)
  await gate.arrived
  await requestReconnect(broker, id)
  await setStatus(database.pool, id, 'revoked')
  gate.open()
  expect(returned(await arrival)).toMatchObject({ status: 'error', error: 'link_expired' })
  expect((await owedTokens(database.pool, provider, id)).has(issued(provider, 'refresh')[1] ?? '')).toBe(true)
})

test('[P6] overtaken by another exchange of its link, and then disconnected: its grant is owed a revocation', async ({
  broker,
  database,
}) => {
  const { provider, id } = await openConnection(broker)
  const journey = await travelAgain(broker, id)
  const gate = holdAnswer(provider)
  const slow = arrive(journey)
  await gate.arrived
  await passAcceptanceGrace(database.pool, id)
  const departure = await openLink(journey.authUrl, journey.cookie)
  expect(returned(await send(await consent(departure), { cookie: departure.cookie }))).toMatchObject({
    status: 'success',
  })
  await setStatus(database.pool, id, 'revoked')
  gate.open()
  expect(returned(await slow), 'as the one that overtook it').toMatchObject({ status: 'success' })
  const owed = await owedTokens(database.pool, provider, id)
  expect(owed.has(issued(provider, 'refresh')[1] ?? '')).toBe(true)
})

test('[H3] a link of a connection that was disconnected since begins nothing', async ({ broker, database }) => {
  const { provider, id } = await openConnection(broker)
  const journey = await travelAgain(broker, id)
  await setStatus(database.pool, id, 'revoked')
  expect(await send(journey.authUrl)).toMatchObject({ status: 410, location: undefined })
  expect(returned(await arrive(journey))).toMatchObject({ status: 'error', error: 'already_completed' })
  expect(provider.requestsTo('token')).toHaveLength(1)
})

test('[R3] the answer of a refresh in flight, come after the reconnect, is dropped and never revoked', async ({
  broker,
  database,
}) => {
  const { provider, id } = await openPlainConnection(broker)
  const journey = await travelAgain(broker, id)
  await setSecondsLeft(database.pool, id, -1)
  const gate = holdAnswer(provider)
  const refreshing = broker.post<{ access_token?: string }>(`/connections/${id}/refresh`)
  await gate.arrived
  expect(returned(await arrive(journey))).toMatchObject({ status: 'success' })
  const renewed = issued(provider, 'access')[2]
  expect(await servedToken(broker, id)).toBe(renewed)

  gate.open()
  expect((await refreshing).body.access_token ?? renewed).toBe(renewed)
  expect(await servedToken(broker, id)).toBe(renewed)
  expect((await tokenRow(database.pool, id)).version).toBe(2)
  expect((await owedTokens(database.pool, provider, id)).size).toBe(0)
  await setSecondsLeft(database.pool, id, -1)
  await readToken(broker, id)
  expect(provider.requestsTo('token').at(-1)?.form.get('refresh_token')).toBe(issued(provider, 'refresh')[2])
  expect(provider.counts().supersededPresentations).toBe(0)
})

test('[R3] a refresh refused after the reconnect does not end the new grant', async ({ broker, database }) => {
  const { provider, id } = await openPlainConnection(broker)
  const journey = await travelAgain(broker, id)
  await setSecondsLeft(database.pool, id, -1)
  const gate = answers.createGate('after', answers.oauthError('invalid_grant'))
  provider.next('token', gate.step)
  const refreshing = broker.post(`/connections/${id}/refresh`)
  await gate.arrived
  await arrive(journey)
  gate.open()
  await refreshing
  expect(await connectionOf(broker, id)).toMatchObject({ status: 'active', status_reason: null })
  expect(await servedToken(broker, id)).toBe(issued(provider, 'access')[1])
})

test('[R3] a refresh stored while the code is exchanged is followed by the new grant', async ({ broker, database }) => {
  const { provider, id } = await openPlainConnection(broker)
  const journey = await travelAgain(broker, id)
  const gate = holdAnswer(provider)
  const arrival = arrive(journey)
  await gate.arrived
  await setSecondsLeft(database.pool, id, -1)
  // the code's token was issued second, and is not answered yet
  expect(await servedToken(broker, id)).toBe(issued(provider, 'access')[2])
  expect((await tokenRow(database.pool, id)).version).toBe(2)
  gate.open()
  expect(returned(await arrival)).toMatchObject({ status: 'success' })
  expect(await servedToken(broker, id)).toBe(issued(provider, 'access')[1])
  expect((await tokenRow(database.pool, id)).version).toBe(3)
})

test('[R3] refreshes against reconnects, many times: the grant of the last consent is the one that stays', async ({
  broker,
  database,
}) => {
  await using other = await startTestBroker(database, {
    env: { BASE_URL: broker.url, AUTH_RATE_LIMIT_PER_MINUTE: '0' },
  })
  const { provider, id } = await openPlainConnection(broker)
  for (let round = 0; round < 15; round++) {
    provider.behave({ authorization: { subject: `person-${round}` } })
    const journey = await travelAgain(broker, id)
    await setSecondsLeft(database.pool, id, -1)
    const [landed] = await Promise.all([arrive(journey), other.post(`/connections/${id}/refresh`)])
    expect(returned(landed)).toMatchObject({ status: 'success' })
    expect(await personOf(provider, await servedToken(broker, id))).toBe(`person-${round}`)
  }
  expect(provider.counts().supersededPresentations).toBe(0)
  expect((await connectionOf(broker, id)).status).toBe('active')
})

async function personOf({ issuer }: Scripted, token: string | undefined): Promise<string> {
  const response = await fetch(`${issuer}/userinfo`, { headers: { authorization: `Bearer ${token}` } })
  const { sub } = (await response.json()) as { readonly sub: string }
  return sub
}

test('[R1] the new grant begins with nothing that is known of refreshes of the old one', async ({
  broker,
  database,
}) => {
  const { id } = await openPlainConnection(broker)
  const journey = await travelAgain(broker, id)
  await database.pool.query(
    `update tokens set lease_owner = $2, lease_until = now() + interval '1 hour', lease_epoch = 7, sent_epoch = 7,
            sent_at = now(), failure_count = 3, next_attempt_at = now() + interval '1 hour', last_refresh_at = now(),
            outcome_unknown = true, attempt_outcome = 'http_500', attempt_epoch = 7
      where connection_id = $1`,
    [id, randomUUID()],
  )
  expect(returned(await arrive(journey)), 'no lease is waited for').toMatchObject({ status: 'success' })
  expect(await tokenRow(database.pool, id)).toMatchObject({
    version: 2,
    lease_owner: null,
    lease_until: null,
    lease_epoch: '8',
    sent_epoch: null,
    sent_at: null,
    failure_count: 0,
    next_attempt_at: null,
    last_refresh_at: null,
    outcome_unknown: false,
    attempt_outcome: null,
    attempt_epoch: null,
  })
})
