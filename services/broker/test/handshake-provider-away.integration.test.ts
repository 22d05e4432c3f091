import { answers } from '@nexus/testing'
import { expect } from 'vitest'
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
import { type Client, readToken, requestConnection, startTestBroker } from './harness.ts'

/** Saved without a look at the metadata, so that the first link is the first to ask for it. */
const undiscovered = { profile: { distinct_redirect_uri: true } }

const troubles = [
  ['does not answer', answers.cutConnection(), 502],
  ['answers 503', answers.serverError(), 502],
  ['answers junk', answers.junk(), 502],
  ['names another issuer', answers.alter({ issuer: 'https://evil.example' }), 502],
  ['redirects', answers.redirect('https://evil.example/metadata'), 502],
] as const

test.for(troubles)(
  '[P2] a link to a provider whose metadata %s: a page, and the link stays good',
  async (row, { broker }) => {
    const [, trouble, status] = row
    const provider = await openProvider(broker, undiscovered)
    const { authUrl, connection_id } = await requestConnection(broker, { provider_name: provider.name })
    provider.always('discovery', trouble)
    const page = await send(authUrl)
    expect(page).toMatchObject({ status, location: undefined })
    expect(page.text).toContain('open your connect link again')
    expect(page.headers.has('set-cookie')).toBe(false)
    expect(await connectionOf(broker, connection_id)).toMatchObject({ status: 'pending' })

    provider.always('discovery', undefined)
    const departure = await openLink(authUrl)
    expect(returned(await send(await consent(departure), { cookie: departure.cookie }))).toMatchObject({
      status: 'success',
    })
  },
)

test('[P2] metadata that cannot be had at the callback uses nothing up', async ({ broker, database }) => {
  const provider = await openProvider(broker)
  const journey = await travel(broker, provider)
  // a Broker that was just started remembers no metadata
  await using fresh = await startTestBroker(database, { env: { BASE_URL: broker.url } })
  provider.always('discovery', answers.serverError())
  const callback = atServer(journey.callback, fresh.url)
  expect(await send(callback, { cookie: journey.cookie })).toMatchObject({ status: 502, location: undefined })
  expect(provider.requestsTo('token')).toEqual([])

  provider.always('discovery', undefined)
  expect(returned(await send(callback, { cookie: journey.cookie }))).toMatchObject({ status: 'success' })
})

async function expectUnavailable(broker: Client, journey: Journey): Promise<void> {
  expect(returned(await arrive(journey))).toMatchObject({ status: 'error', error: 'provider_unavailable', from: 'app' })
  expect(await connectionOf(broker, journey.connection_id)).toMatchObject({
    status: 'failed',
    status_reason: 'provider_unavailable',
  })
}

test(
  '[P4] a provider slower than the deadline is taken for unavailable, and the code is not sent again',
  {
    timeout: 60_000,
  },
  async ({ broker }) => {
    const [silent, dripping] = [await openProvider(broker), await openProvider(broker)]
    silent.next('token', answers.stall())
    dripping.next('token', answers.drip())
    const startedAt = performance.now()
    await Promise.all(
      [silent, dripping].map(async (provider) => expectUnavailable(broker, await travel(broker, provider))),
    )
    expect(performance.now() - startedAt).toBeLessThan(25_000)
    expect(silent.requestsTo('token')).toHaveLength(1)
    expect(dripping.requestsTo('token')).toHaveLength(1)
  },
)

test('an answer that comes late is stored with what is left of its lifetime', async ({ broker, database }) => {
  const provider = await openProvider(broker)
  const journey = await travel(broker, provider)
  await arrive(journey)
  const { rows } = await database.pool.query(
    `select issued_at <= now() as issued, refresh_at < expires_at as ahead,
            round(extract(epoch from expires_at - issued_at))::int as lifetime
       from tokens where connection_id = $1`,
    [journey.connection_id],
  )
  expect(rows).toEqual([{ issued: true, ahead: true, lifetime: 3600 }])
  expect((await readToken(broker, journey.connection_id)).body).toMatchObject({ expires_in: expect.closeTo(3600, -1) })
})
