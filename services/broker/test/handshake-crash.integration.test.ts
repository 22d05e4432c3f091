import { answers } from '@nexus/testing'
import { expect } from 'vitest'
import { passAcceptanceGrace } from './database-tools.ts'
import {
  type Journey,
  arrive,
  atServer,
  auditOf,
  connectionOf,
  consent,
  openLink,
  openProvider,
  returned,
  send,
  test,
  travel,
} from './handshake-scene.ts'
import { readToken, spawnTestBroker } from './harness.ts'

const failed = 'the code exchange failed'

/** Opens the link again and finishes: what the person does after a page that asks for it. */
async function finishAgain({ authUrl, cookie }: Pick<Journey, 'authUrl' | 'cookie'>) {
  const departure = await openLink(authUrl, cookie)
  return returned(await send(await consent(departure), { cookie: departure.cookie }))
}

// a process has to start, on machines that do other things too
const timeout = 60_000

test.for([
  ['before the provider saw the code', 'before'],
  ['when the provider had granted', 'after'],
] as const)(
  '[R2] a Broker killed %s: the link works again after the grace',
  { timeout },
  async ([, position], { broker, database }) => {
    await using dying = await spawnTestBroker(database, { env: { BASE_URL: broker.url } })
    const provider = await openProvider(broker)
    const journey = await travel(broker, provider)
    const gate = answers.createGate(position)
    provider.next('token', gate.step)
    const cut = send(atServer(journey.callback, dying.url), { cookie: journey.cookie }).catch(() => 'cut')
    await gate.arrived
    await dying.kill9()
    expect(await cut).toBe('cut')
    gate.open()

    expect(await connectionOf(broker, journey.connection_id)).toMatchObject({ status: 'pending' })
    // within the grace the other one may still be alive
    expect(await send(journey.authUrl)).toMatchObject({ status: 410, location: undefined })

    await passAcceptanceGrace(database.pool, journey.connection_id)
    // a reload cannot help: the code may be spent
    expect(returned(await arrive(journey))).toMatchObject({ status: 'error', error: 'link_expired' })
    expect(provider.requestsTo('token')).toHaveLength(1)

    expect(await finishAgain(journey)).toMatchObject({ status: 'success', connection_id: journey.connection_id })
    expect((await readToken(broker, journey.connection_id)).status).toBe(200)
    expect(provider.requestsTo('token')).toHaveLength(2)
    expect(provider.violations).toEqual([])
  },
)

test('[R2] a Broker that was only slow does not undo what came after it', async ({ broker, database }) => {
  const provider = await openProvider(broker)
  const journey = await travel(broker, provider)
  const gate = answers.createGate('after')
  provider.next('token', gate.step)
  const slow = arrive(journey)
  await gate.arrived
  await passAcceptanceGrace(database.pool, journey.connection_id)
  expect(await finishAgain(journey)).toMatchObject({ status: 'success' })
  const { body: stored } = await readToken(broker, journey.connection_id)

  gate.open()
  expect(returned(await slow)).toMatchObject({ status: 'success' })
  expect((await readToken(broker, journey.connection_id)).body.access_token).toBe(stored.access_token)
  const completed = (await auditOf(broker, journey.connection_id)).filter((line) => line.startsWith('oauth_flow'))
  expect(completed).toHaveLength(1)
})

test('[R2] a Broker that was only slow cannot fail what came after it', async ({ broker, database }) => {
  const provider = await openProvider(broker)
  const journey = await travel(broker, provider)
  const failing = answers.createGate('after', answers.oauthError('invalid_grant'))
  const granting = answers.createGate('after')
  provider.next('token', failing.step, granting.step)
  const slow = arrive(journey)
  await failing.arrived
  await passAcceptanceGrace(database.pool, journey.connection_id)
  const again = finishAgain(journey)
  await granting.arrived

  failing.open()
  await broker.logs.waitFor((line) => line['connection_id'] === journey.connection_id && line['msg'] === failed)
  granting.open()
  for (const landing of [await again, returned(await slow)]) expect(landing).toMatchObject({ status: 'success' })
  expect(await connectionOf(broker, journey.connection_id)).toMatchObject({ status: 'active' })
})

test(
  '[R6] SIGTERM during an exchange: it is followed through, and the exit is clean',
  { timeout },
  async ({ database, broker }) => {
    await using leaving = await spawnTestBroker(database)
    const provider = await openProvider(leaving)
    const journey = await travel(leaving, provider)
    const gate = answers.createGate()
    provider.next('token', gate.step)
    const arrival = arrive(journey)
    await gate.arrived
    const ending = leaving.stop('SIGTERM')
    await leaving.waitForOutput(/is draining/)
    gate.open()
    expect(returned(await arrival)).toMatchObject({ status: 'success' })
    expect(await ending).toEqual({ exitCode: 0, signal: null })
    expect((await readToken(broker, journey.connection_id)).status).toBe(200)
  },
)

test(
  '[R6] a callback that arrives while a Broker drains is not accepted, so no code is burned',
  { timeout },
  async ({ database, broker }) => {
    await using leaving = await spawnTestBroker(database, { env: { BASE_URL: broker.url } })
    const provider = await openProvider(broker)
    const [held, late] = [await travel(broker, provider), await travel(broker, provider)]
    const gate = answers.createGate()
    provider.next('token', gate.step)
    const arrival = send(atServer(held.callback, leaving.url), { cookie: held.cookie })
    await gate.arrived
    const ending = leaving.stop('SIGTERM')
    await leaving.waitForOutput(/is draining/)
    const refused = await send(atServer(late.callback, leaving.url), { cookie: late.cookie }).then(
      ({ status }) => status,
      () => 'refused',
    )
    expect(['refused', 503]).toContain(refused)
    gate.open()
    expect(returned(await arrival)).toMatchObject({ status: 'success' })
    await ending
    // the public origin leads to another Broker now
    expect(returned(await arrive(late))).toMatchObject({ status: 'success' })
    expect(provider.requestsTo('token')).toHaveLength(2)
  },
)

test('[R2] a browser that goes away during the exchange loses nothing', async ({ broker }) => {
  const provider = await openProvider(broker)
  const journey = await travel(broker, provider)
  const gate = answers.createGate()
  provider.next('token', gate.step)
  const leaving = new AbortController()
  const gone = fetch(journey.callback, { headers: { cookie: journey.cookie }, signal: leaving.signal })
  await gate.arrived
  leaving.abort()
  await expect(gone).rejects.toThrow(/abort/i)
  gate.open()
  await expect.poll(() => connectionOf(broker, journey.connection_id)).toMatchObject({ status: 'active' })
  expect(returned(await arrive(journey))).toMatchObject({ status: 'success' })
})
