import { answers } from '@nexus/testing'
import { expect } from 'vitest'
import {
  type Departure,
  arrive,
  auditOf,
  connectionOf,
  consent,
  holdHandshake,
  openLink,
  openProvider,
  returned,
  send,
  test,
  travel,
} from './handshake-scene.ts'
import { readToken, requestConnection } from './harness.ts'

const mostLive = 10

test('[H4] two tabs that both finish make one grant, and both land well', async ({ broker }) => {
  const provider = await openProvider(broker)
  const { authUrl, connection_id } = await requestConnection(broker, { provider_name: provider.name })
  const first = await openLink(authUrl)
  const tabs = [first, await openLink(authUrl, first.cookie)] as const
  const cookie = tabs.map((tab) => tab.cookie).join('; ')
  const callbacks = [await consent(tabs[0]), await consent(tabs[1])]

  const gate = answers.createGate('after')
  provider.next('token', gate.step)
  const landings = callbacks.map(async (callback) => returned(await send(callback, { cookie })))
  await gate.arrived
  gate.open()
  for (const landing of await Promise.all(landings)) expect(landing).toMatchObject({ status: 'success', connection_id })
  expect(provider.requestsTo('token')).toHaveLength(1)
  expect((await readToken(broker, connection_id)).status).toBe(200)
})

test('[H4] a tab that finishes later lands where the first one did, also when that was an error', async ({
  broker,
}) => {
  for (const [error, landing] of [
    [undefined, { status: 'success' }],
    ['access_denied', { status: 'error', error: 'access_denied' }],
  ] as const) {
    const provider = await openProvider(broker)
    const { authUrl } = await requestConnection(broker, { provider_name: provider.name })
    const first = await openLink(authUrl)
    const second = await openLink(authUrl, first.cookie)
    const late = await consent(second)
    provider.behave({ authorization: { error } })
    expect(returned(await send(await consent(first), { cookie: first.cookie }))).toMatchObject(landing)
    expect(returned(await send(late, { cookie: second.cookie }))).toMatchObject(landing)
    expect(provider.requestsTo('token')).toHaveLength(error === undefined ? 1 : 0)
  }
})

test('[H4] in another browser nobody is told that their account was connected, when it was somebody else’s', async ({
  broker,
}) => {
  for (const error of [undefined, 'access_denied']) {
    const provider = await openProvider(broker)
    const { authUrl, connection_id } = await requestConnection(broker, { provider_name: provider.name })
    const [zoe, ada] = [await openLink(authUrl), await openLink(authUrl, 'nx-0123456789abcdef=of-another-link')]
    const late = await consent(ada)
    provider.behave({ authorization: { error } })
    await send(await consent(zoe), { cookie: zoe.cookie })
    const landing = returned(await send(late, { cookie: ada.cookie }))
    expect(landing).toMatchObject({ status: 'error', error: 'already_completed', connection_id })
    expect(returned(await send(late, { cookie: ada.cookie })), 'however often').toEqual(landing)
  }
})

test('[H4] openings in one browser share the value of their cookies, and others know nothing of it', async ({
  broker,
}) => {
  const provider = await openProvider(broker)
  const { authUrl } = await requestConnection(broker, { provider_name: provider.name })
  const [first, other] = [await openLink(authUrl), await openLink(authUrl)]
  const valueOf = ({ cookie }: { cookie: string }) => cookie.split('=')[1]
  const second = await openLink(authUrl, `a=b; ${first.cookie}`)
  expect(valueOf(second)).toBe(valueOf(first))
  expect(second.cookie).not.toBe(first.cookie)
  expect(valueOf(other)).not.toBe(valueOf(first))
  // a value alone, or under the name of another opening, is nobody's
  for (const carried of [`${other.cookie.split('=')[0]}=${valueOf(first)}`, `${first.cookie}; ${first.cookie}`]) {
    expect([valueOf(first), valueOf(other)]).not.toContain(valueOf(await openLink(authUrl, carried)))
  }
  // nor is it carried over to another link
  const asked = await requestConnection(broker, { provider_name: provider.name })
  expect(valueOf(await openLink(asked.authUrl, first.cookie))).not.toBe(valueOf(first))
})

test('[H4] whoever is at the provider stays, however often the link is opened meanwhile; the last to come gets in too', async ({
  broker,
}) => {
  const provider = await openProvider(broker)
  const { authUrl } = await requestConnection(broker, { provider_name: provider.name })
  const openings: Departure[] = []
  for (let count = 0; count < mostLive + 2; count += 1) openings.push(await openLink(authUrl, openings[0]?.cookie))
  const [person, evicted, last] = [openings[0], openings[mostLive], openings[mostLive + 1]]
  if (person === undefined || evicted === undefined || last === undefined) throw new Error('nothing was opened')
  const cookie = openings.map((opening) => opening.cookie).join('; ')
  expect(await send(await consent(evicted), { cookie })).toMatchObject({ status: 400 })
  expect(provider.requestsTo('token')).toEqual([])
  expect(returned(await send(await consent(person), { cookie }))).toMatchObject({ status: 'success' })
  expect(returned(await send(await consent(last), { cookie }))).toMatchObject({ status: 'success' })
  expect(provider.requestsTo('token')).toHaveLength(1)
})

test('[H4] however many open a link at once, ten attempts live', async ({ broker, database }) => {
  const provider = await openProvider(broker)
  const { authUrl, connection_id } = await requestConnection(broker, { provider_name: provider.name })
  const held = await holdHandshake(database, connection_id)
  const opening = Promise.all(Array.from({ length: 30 }, () => openLink(authUrl)))
  await held.waitForOthers(5)
  await held.release()
  const openings = await opening
  const { rows } = await database.pool.query(
    `select count(*)::int as live from handshake_attempts a join handshakes h on h.id = a.handshake_id
      where h.connection_id = $1`,
    [connection_id],
  )
  expect(rows).toEqual([{ live: mostLive }])
  const landings = await Promise.all(openings.map(async (one) => send(await consent(one), { cookie: one.cookie })))
  expect(landings.filter(({ status }) => status === 303)).toHaveLength(mostLive)
  expect(provider.requestsTo('token')).toHaveLength(1)
})

test('[H4] a link that was used, or refused, says from then on that it is done', async ({ broker, database }) => {
  for (const error of [undefined, 'access_denied']) {
    const provider = await openProvider(broker, { provider: { behaviour: { authorization: { error } } } })
    const journey = await travel(broker, provider)
    await arrive(journey)
    for (const age of ['0 seconds', '10 minutes']) {
      await database.pool.query('update handshakes set accepted_at = now() - $2::interval where connection_id = $1', [
        journey.connection_id,
        age,
      ])
      const page = await send(journey.authUrl)
      expect(page).toMatchObject({ status: 410, location: undefined })
      expect(page.text).toContain('already used')
      expect(page.headers.has('set-cookie')).toBe(false)
    }
  }
})

const expireAttempts = `update handshake_attempts set expires_at = now() - interval '1 second'
  where handshake_id in (select id from handshakes where connection_id = $1)`

test('[H1] an expired attempt is refused, and the link can be opened again', async ({ broker, database }) => {
  const provider = await openProvider(broker)
  const journey = await travel(broker, provider)
  await database.pool.query(expireAttempts, [journey.connection_id])
  expect(returned(await arrive(journey))).toMatchObject({ status: 'error', error: 'link_expired', from: 'app' })
  expect(await connectionOf(broker, journey.connection_id)).toMatchObject({ status: 'pending' })
  expect(provider.requestsTo('token')).toEqual([])
  expect(await auditOf(broker, journey.connection_id)).toContain('state_verification_failed expired')

  const again = await openLink(journey.authUrl)
  expect(returned(await send(await consent(again), { cookie: again.cookie }))).toMatchObject({ status: 'success' })
})

/** Moves every deadline of a connection into the past, as if its link had been made this much earlier. */
const passDeadline = `with moved as (
    update handshakes set expires_at = now() - interval '1 minute' where connection_id = $1
  ) update connections set pending_until = pending_until - interval '61 minutes' where id = $1`
const sweep = `update connections set status = 'expired' where id = $1 and status = 'pending' and pending_until <= now()`

test.for([
  ['not yet swept', false],
  ['swept', true],
] as const)('a link past its deadline, %s, says that it has expired', async ([, isSwept], { broker, database }) => {
  const provider = await openProvider(broker)
  const { authUrl, connection_id } = await requestConnection(broker, { provider_name: provider.name })
  await database.pool.query(passDeadline, [connection_id])
  if (isSwept) await database.pool.query(sweep, [connection_id])
  expect(await connectionOf(broker, connection_id)).toMatchObject({ status: 'expired' })
  const page = await send(authUrl)
  expect(page).toMatchObject({ status: 410, location: undefined })
  expect(page.text).toContain('has expired')
})

test('[H4] who opened the link in time may finish after its deadline', async ({ broker, database }) => {
  const provider = await openProvider(broker)
  const { authUrl, connection_id } = await requestConnection(broker, { provider_name: provider.name })
  const soon = `with moved as (update handshakes set expires_at = now() + interval '1 minute' where connection_id = $1)
    update connections set pending_until = now() + interval '1 minute' where id = $1`
  await database.pool.query(soon, [connection_id])
  const opened = await openLink(authUrl)
  const { rows } = await database.pool.query(
    `select c.pending_until >= a.expires_at as waits from handshake_attempts a
       join handshakes h on h.id = a.handshake_id join connections c on c.id = h.connection_id where c.id = $1`,
    [connection_id],
  )
  expect(rows).toEqual([{ waits: true }])
  await database.pool.query(`update handshakes set expires_at = now() where connection_id = $1`, [connection_id])
  expect((await send(authUrl)).text).toContain('has expired')
  expect(returned(await send(await consent(opened), { cookie: opened.cookie }))).toMatchObject({ status: 'success' })
})

test('[H3] a callback for a connection that expired is sent back at once, and touches nothing', async ({
  broker,
  database,
}) => {
  const provider = await openProvider(broker)
  const journey = await travel(broker, provider)
  await database.pool.query(`update connections set status = 'expired' where id = $1`, [journey.connection_id])
  const startedAt = performance.now()
  expect(returned(await arrive(journey))).toMatchObject({ status: 'error', error: 'link_expired' })
  expect(performance.now() - startedAt).toBeLessThan(5_000)
  expect(provider.requestsTo('token')).toEqual([])
  expect(await connectionOf(broker, journey.connection_id)).toMatchObject({ status: 'expired' })
  expect((await send(journey.authUrl)).text).toContain('has expired')
})

test.for(['active', 'failed', 'revoked', 'attention_required'])(
  '[H3] a callback for a connection that became %s meanwhile touches nothing',
  async (status, { broker, database }) => {
    const provider = await openProvider(broker)
    const journey = await travel(broker, provider)
    await database.pool.query('update connections set status = $2 where id = $1', [journey.connection_id, status])
    const startedAt = performance.now()
    expect(returned(await arrive(journey))).toMatchObject({ status: 'error', error: 'already_completed' })
    expect(performance.now() - startedAt).toBeLessThan(5_000)
    expect(provider.requestsTo('token')).toEqual([])
    expect(await connectionOf(broker, journey.connection_id)).toMatchObject({ status })
  },
)
