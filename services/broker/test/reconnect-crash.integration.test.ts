import { answers, startTcpProxy, withDatabase } from '@nexus/testing'
import { expect, onTestFinished } from 'vitest'
import { openConnection, openPlainConnection } from './connection-scene.ts'
import { tokenRow, passAcceptanceGrace } from './database-tools.ts'
import {
  type Journey,
  type Scripted,
  arrive,
  atServer,
  auditOf,
  consent,
  openLink,
  returned,
  send,
  test,
} from './handshake-scene.ts'
import { readToken, spawnTestBroker, startTestBroker } from './harness.ts'
import { everythingOf, issued, setStatus, travelAgain } from './reconnect-scene.ts'

// a process has to start, on machines that do other things too
const timeout = 60_000

test.for(['before', 'after'] as const)(
  '[R2] a Broker killed %s the provider granted: the old grant is as it was, and the link works again after the grace',
  { timeout },
  async (position, { broker, database }) => {
    await using dying = await spawnTestBroker(database, { env: { BASE_URL: broker.url } })
    const { provider, id } = await openConnection(broker)
    const before = await everythingOf(database.pool, id)
    const journey = await travelAgain(broker, id)
    const gate = answers.createGate(position)
    provider.next('token', gate.step)
    const cut = send(atServer(journey.callback, dying.url), { cookie: journey.cookie }).catch(() => 'cut')
    await gate.arrived
    await dying.kill9()
    expect(await cut).toBe('cut')
    gate.open()
    expect(await everythingOf(database.pool, id)).toEqual(before)
    expect((await readToken(broker, id)).body.access_token).toBe(issued(provider, 'access')[0])

    await passAcceptanceGrace(database.pool, id)
    expect(returned(await arrive(journey))).toMatchObject({ status: 'error', error: 'link_expired' })
    const departure = await openLink(journey.authUrl)
    expect(returned(await send(await consent(departure), { cookie: departure.cookie }))).toMatchObject({
      status: 'success',
    })
    expect((await readToken(broker, id)).body.access_token).toBe(issued(provider, 'access').at(-1))
  },
)

/** A Broker whose connections to PostgreSQL lead through a bad network. */
async function startBehindProxy(database: { readonly url: string; readonly name: string }) {
  const { hostname, port } = new URL(database.url)
  const proxy = await startTcpProxy({ host: hostname, port: Number(port) })
  onTestFinished(() => proxy[Symbol.asyncDispose]())
  const broker = await startTestBroker({ url: proxy.url(withDatabase(database.url, database.name)) })
  onTestFinished(() => broker[Symbol.asyncDispose]())
  return { proxy, broker }
}

/** Finishes a journey whose COMMIT is acknowledged to nobody. */
async function arriveUnacknowledged(
  { proxy }: Awaited<ReturnType<typeof startBehindProxy>>,
  provider: Scripted,
  journey: Journey,
) {
  const gate = answers.createGate('after')
  provider.next('token', gate.step)
  const arrival = arrive(journey)
  await gate.arrived
  const cut = proxy.cutOnPattern('to-client', 'COMMIT\0')
  gate.open()
  await cut.happened
  return arrival
}

test('[R4] a reconnect whose COMMIT is not acknowledged is read again, not repeated', async ({ database }) => {
  const scene = await startBehindProxy(database)
  const { broker } = scene
  const { provider, id } = await openPlainConnection(broker, {}, { revocation: 'token_only' })
  const arrival = await arriveUnacknowledged(scene, provider, await travelAgain(broker, id))
  expect(returned(arrival)).toMatchObject({ status: 'success' })
  expect((await tokenRow(database.pool, id)).version).toBe(2)
  // what is queued may be done before anybody looks
  const events = (await auditOf(broker, id)).filter((line) => !line.startsWith('revocation.done'))
  expect(events.toSorted()).toEqual([
    'connection.reconnect_requested success',
    'connection.reconnected success',
    'connection.requested success',
    'oauth_flow_completed success',
    'revocation.queued success',
  ])
})

test.for(['another account', 'disconnected'])(
  '[R4] [P6] a grant turned away (%s) whose COMMIT is not acknowledged is owed one revocation',
  async (reason, { database }) => {
    const scene = await startBehindProxy(database)
    const { broker } = scene
    const { provider, id } = await openConnection(broker)
    if (reason === 'another account') provider.behave({ authorization: { subject: 'mallory' } })
    const journey = await travelAgain(broker, id)
    const gate = answers.createGate('after')
    provider.next('token', gate.step)
    const arrival = arrive(journey)
    await gate.arrived
    if (reason === 'disconnected') await setStatus(database.pool, id, 'revoked')
    const cut = scene.proxy.cutOnPattern('to-client', 'COMMIT\0')
    gate.open()
    await cut.happened
    const error = reason === 'disconnected' ? 'already_completed' : 'account_mismatch'
    expect(returned(await arrival)).toMatchObject({ status: 'error', error })
    const events = (await auditOf(broker, id)).filter((line) => /^(oauth_error|revocation.queued)/.test(line))
    expect(events.toSorted()).toEqual([`oauth_error ${error}`, 'revocation.queued success'])
  },
)
