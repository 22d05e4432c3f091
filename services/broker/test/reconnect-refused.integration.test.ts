import { type Step, answers } from '@nexus/testing'
import { expect } from 'vitest'
import { openConnection, openPlainConnection } from './connection-scene.ts'
import { setSecondsLeft } from './database-tools.ts'
import {
  type Journey,
  type Scripted,
  arrive,
  auditOf,
  connectionOf,
  consent,
  eventsOf,
  openLink,
  openProvider,
  returned,
  send,
  test,
} from './handshake-scene.ts'
import { type Client, readToken, requestConnection, startTestBroker } from './harness.ts'
import { everythingOf, issued, owedTokens, requestReconnect, setStatus, travelAgain } from './reconnect-scene.ts'

/** An attempt to reconnect that comes to nothing, and the error the app gets. */
const failures: readonly (readonly [
  name: string,
  error: string,
  fail: (broker: Client, provider: Scripted, id: string) => Promise<Journey>,
])[] = [
  ['the person refuses', 'access_denied', deny],
  ['the provider refuses the code', 'provider_rejected', withToken(answers.oauthError('invalid_grant'))],
  ['the provider is down', 'provider_unavailable', withToken(answers.serverError(503))],
  ['the answer breaks off', 'provider_unavailable', withToken(answers.cutMidway())],
  ['the answer is junk', 'provider_rejected', withToken(answers.junk())],
  ['the ID token is forged', 'provider_rejected', forge],
  ['the profile changes', 'link_expired', changeProfile],
  ['the profile is removed', 'link_expired', removeProfile],
]

async function deny(broker: Client, provider: Scripted, id: string): Promise<Journey> {
  provider.behave({ authorization: { error: 'access_denied' } })
  return travelAgain(broker, id)
}

function withToken(step: Step) {
  return (broker: Client, provider: Scripted, id: string): Promise<Journey> => {
    provider.next('token', step)
    return travelAgain(broker, id)
  }
}

async function forge(broker: Client, provider: Scripted, id: string): Promise<Journey> {
  provider.behave({ idToken: { signature: 'other-key' } })
  return travelAgain(broker, id)
}

async function changeProfile(broker: Client, provider: Scripted, id: string): Promise<Journey> {
  const journey = await travelAgain(broker, id)
  await broker.send('PATCH', `/providers/${provider.providerId}`, { body: { distinct_redirect_uri: true } })
  return journey
}

async function removeProfile(broker: Client, provider: Scripted, id: string): Promise<Journey> {
  const journey = await travelAgain(broker, id)
  await broker.send('DELETE', `/providers/${provider.providerId}`)
  return journey
}

for (const status of ['active', 'attention_required']) {
  test.for(failures)(
    `[H11] ${status}, and %s: the connection and its grant are exactly as they were`,
    async ([, error, fail], { broker, database }) => {
      const { provider, id } = await openConnection(broker)
      await setStatus(database.pool, id, status)
      const before = await everythingOf(database.pool, id)
      const journey = await fail(broker, provider, id)
      expect(returned(await arrive(journey))).toEqual({
        from: 'app',
        status: 'error',
        connection_id: id,
        provider: provider.name,
        error,
      })
      expect(await everythingOf(database.pool, id)).toEqual(before)
      expect((await owedTokens(database.pool, provider, id)).size).toBe(0)
      const served = (await readToken(broker, id)).body.access_token
      expect(served).toBe(status === 'active' ? issued(provider, 'access')[0] : undefined)
      // what was refused once is over; another reconnect is another link
      expect(await send(journey.authUrl)).toMatchObject({ status: 410, location: undefined })
    },
  )
}

test.for(['failed', 'expired', 'expired, not yet swept'])(
  '[H3] a connection that was %s stays so when its reconnect is opened, refused or abandoned',
  async (status, { broker, database }) => {
    const provider = await openProvider(broker)
    const { connection_id: id } = await requestConnection(broker, { provider_name: provider.name })
    await setStatus(database.pool, id, status)
    const before = await everythingOf(database.pool, id)
    const shown = await connectionOf(broker, id)

    const journey = await deny(broker, provider, id)
    expect(await everythingOf(database.pool, id), 'opened').toEqual(before)
    expect(returned(await arrive(journey))).toMatchObject({ error: 'access_denied' })
    expect(await everythingOf(database.pool, id), 'refused').toEqual(before)
    expect(await connectionOf(broker, id)).toEqual(shown)
  },
)

test('[H3] a code exchanged for a reconnect does not bring back a deadline that has passed', async ({
  broker,
  database,
}) => {
  const provider = await openProvider(broker)
  const { connection_id: id } = await requestConnection(broker, { provider_name: provider.name })
  await setStatus(database.pool, id, 'expired, not yet swept')
  const journey = await travelAgain(broker, id)
  const gate = answers.createGate('before', answers.oauthError('invalid_grant'))
  provider.next('token', gate.step)
  const arrival = arrive(journey)
  await gate.arrived
  expect(await connectionOf(broker, id)).toMatchObject({ status: 'expired' })
  gate.open()
  expect(returned(await arrival)).toMatchObject({ error: 'provider_rejected' })
  expect(await connectionOf(broker, id)).toMatchObject({ status: 'expired', status_reason: null })
})

test('a link that nobody opens in time expires, and the connection does not', async ({ broker, database }) => {
  const { provider, id } = await openConnection(broker)
  const before = await everythingOf(database.pool, id)
  const { authUrl } = await requestReconnect(broker, id)
  await database.pool.query(`update handshakes set expires_at = now() where connection_id = $1`, [id])
  const page = await send(authUrl)
  expect(page).toMatchObject({ status: 410, location: undefined })
  expect(page.text).toContain('has expired')

  // a Broker sweeps at its start
  await database.pool.query(`update connections set pending_until = now() - interval '1 hour' where id = $1`, [id])
  await (await startTestBroker(database))[Symbol.asyncDispose]()
  expect(await connectionOf(broker, id)).toMatchObject({ status: 'active' })
  await database.pool.query(
    `update connections set pending_until = ($2::jsonb #>> '{connection,pending_until}')::timestamptz where id = $1`,
    [id, JSON.stringify(before)],
  )
  expect(await everythingOf(database.pool, id)).toEqual(before)
  expect((await readToken(broker, id)).body.access_token).toBe(issued(provider, 'access')[0])
})

test('[H4] who opened the link of a reconnect in time may finish after its deadline', async ({ broker, database }) => {
  const { id } = await openConnection(broker)
  const journey = await travelAgain(broker, id)
  await database.pool.query(`update handshakes set expires_at = now() where connection_id = $1`, [id])
  await (await startTestBroker(database))[Symbol.asyncDispose]()
  expect(returned(await arrive(journey))).toMatchObject({ status: 'success' })
})

test('meanwhile the old grant goes on being refreshed', async ({ broker, database }) => {
  const { provider, id } = await openPlainConnection(broker)
  const journey = await travelAgain(broker, id)
  await setSecondsLeft(database.pool, id, -1)
  expect((await readToken(broker, id)).body.access_token).toBe(issued(provider, 'access')[1])
  expect(returned(await arrive(journey))).toMatchObject({ status: 'success' })
  expect((await readToken(broker, id)).body.access_token).toBe(issued(provider, 'access')[2])
  expect(provider.counts()).toMatchObject({ refreshRequests: 1, supersededPresentations: 0 })
})

test.for(['active', 'attention_required'])(
  '[P6] %s, and another account signs in: refused, the old grant stays, the stranger’s tokens are owed a revocation',
  async (status, { broker, database }) => {
    const { provider, id } = await openConnection(broker)
    await setStatus(database.pool, id, status)
    const before = await everythingOf(database.pool, id)
    provider.behave({ authorization: { subject: 'mallory' } })
    const journey = await travelAgain(broker, id)
    expect(returned(await arrive(journey))).toMatchObject({ status: 'error', error: 'account_mismatch' })
    expect(await everythingOf(database.pool, id)).toEqual(before)
    // a reload lands where the first one did
    expect(returned(await arrive(journey))).toMatchObject({ status: 'error', error: 'account_mismatch' })

    const owed = await owedTokens(database.pool, provider, id)
    expect(owed.has(issued(provider, 'refresh')[1] ?? '')).toBe(true)
    const old = [issued(provider, 'refresh')[0], issued(provider, 'access')[0]]
    expect([...owed].filter((token) => old.includes(token))).toEqual([])
    const audit = await auditOf(broker, id)
    expect(audit).toContain('oauth_error account_mismatch')
    expect(audit.filter((line) => line === 'revocation.queued success')).toHaveLength(1)
    expect(audit).not.toContain('connection.reconnected success')
    const served = (await readToken(broker, id)).body.access_token
    expect(served).toBe(status === 'active' ? old[1] : undefined)
  },
)

test('a grant that names nobody, where somebody is known, is refused and not revoked', async ({ broker, database }) => {
  const { provider, id } = await openConnection(broker)
  const before = await everythingOf(database.pool, id)
  const journey = await travelAgain(broker, id, { scopes: ['read'] })
  expect(returned(await arrive(journey))).toMatchObject({ error: 'account_mismatch' })
  expect(await everythingOf(database.pool, id)).toEqual(before)
  // it may be of the very account, whose old grant a revocation could end
  expect((await owedTokens(database.pool, provider, id)).size).toBe(0)
  expect((await eventsOf(broker, id)).map(({ event }) => event)).not.toContain('revocation.queued')
})

test('without a return_url a page tells the person of the other account', async ({ broker }) => {
  const { provider, id } = await openConnection(broker)
  provider.behave({ authorization: { subject: 'mallory' } })
  const page = await arrive(await travelAgain(broker, id, { return_url: undefined }))
  expect(page).toMatchObject({ status: 409, location: undefined })
  expect(page.text).toContain('another account')
  expect(page.text).not.toContain('mallory')
  expect(page.headers.get('set-cookie')).toContain('Max-Age=0')
})

test('after a refusal the next reconnect works', async ({ broker }) => {
  const { provider, id } = await openConnection(broker)
  await arrive(await deny(broker, provider, id))
  provider.behave({ authorization: { error: undefined } })
  const { authUrl } = await requestReconnect(broker, id)
  const departure = await openLink(authUrl)
  expect(returned(await send(await consent(departure), { cookie: departure.cookie }))).toMatchObject({
    status: 'success',
  })
})
