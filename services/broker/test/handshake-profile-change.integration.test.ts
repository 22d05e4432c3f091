import { answers } from '@nexus/testing'
import { expect } from 'vitest'
import {
  type Scripted,
  arrive,
  atServer,
  auditOf,
  connectionOf,
  openProvider,
  returned,
  send,
  staticEndpoints,
  test,
  travel,
} from './handshake-scene.ts'
import { type Client, requestConnection, startTestBroker } from './harness.ts'
import { setStatus, travelAgain } from './reconnect-scene.ts'

async function change(broker: Client, provider: Scripted, patch: Readonly<Record<string, unknown>>): Promise<void> {
  const answer = await broker.send('PATCH', `/providers/${provider.providerId}`, { body: patch })
  expect(answer, answer.text).toMatchObject({ status: 200 })
}

const relied: readonly (readonly [string, (issuer: string) => Readonly<Record<string, unknown>>])[] = [
  ['the authorization endpoint', (issuer) => ({ auth_url: `${issuer}/authorize?v=2` })],
  ['the token endpoint', (issuer) => ({ token_url: `${issuer}/token?v=2` })],
  ['the issuer', (issuer) => ({ issuer: `${issuer}/other`, enable_discovery: false })],
  ['the keys', (issuer) => ({ jwks_uri: `${issuer}/other-keys` })],
  ['the client id', () => ({ client_id: 'another-client' })],
  ['the way the client authenticates', () => ({ auth_header: 'client_secret_basic' })],
  ['the redirect path', () => ({ distinct_redirect_uri: false })],
]

test.for(relied)(
  '[H8] a change of %s between link and callback aborts the handshake',
  async ([, patch], { broker }) => {
    const provider = await openProvider(broker, {
      profile: (issuer) => ({ ...staticEndpoints(issuer), issuer, enable_discovery: false }),
    })
    const journey = await travel(broker, provider)
    const { authUrl, connection_id } = await requestConnection(broker, { provider_name: provider.name })
    await change(broker, provider, patch(provider.issuer))

    // the issuer of the response is compared before the profile is
    if ('issuer' in patch('')) journey.callback.searchParams.delete('iss')
    expect(returned(await arrive(journey))).toMatchObject({ status: 'error', error: 'link_expired', from: 'app' })
    expect(provider.requestsTo('token')).toEqual([])
    expect(await connectionOf(broker, journey.connection_id)).toMatchObject({
      status: 'failed',
      status_reason: 'profile_changed',
    })
    expect(await auditOf(broker, journey.connection_id)).toContain('oauth_error profile_changed')

    // better said before the person signs in
    expect(await send(authUrl)).toMatchObject({ status: 410, location: undefined })
    expect(await connectionOf(broker, connection_id)).toMatchObject({ status: 'pending' })
  },
)

test('[H8] a change of what nobody relied on lets the handshake be', async ({ broker }) => {
  const provider = await openProvider(broker)
  const journey = await travel(broker, provider)
  await change(broker, provider, {
    description: 'Another text',
    category: 'other',
    scopes: ['openid', 'read', 'write'],
    api_base_url: 'https://api.example.com',
    aliases: ['another-name-of-it'],
    default_expires_in: 60,
  })
  expect(returned(await arrive(journey))).toMatchObject({ status: 'success' })
})

test('[H8] a new client secret is used by handshakes under way', async ({ broker }) => {
  const provider = await openProvider(broker)
  const journey = await travel(broker, provider)
  await change(broker, provider, { client_secret: 'the-rotated-client-secret' })
  await arrive(journey)
  expect(provider.requestsTo('token')[0]?.form.get('client_secret')).toBe('the-rotated-client-secret')
})

test('[H8] a profile that was removed meanwhile connects nobody any more', async ({ broker }) => {
  const provider = await openProvider(broker)
  const journey = await travel(broker, provider)
  const { authUrl } = await requestConnection(broker, { provider_name: provider.name })
  await broker.send('DELETE', `/providers/${provider.providerId}`)
  expect(returned(await arrive(journey))).toMatchObject({ status: 'error', error: 'link_expired' })
  expect(provider.requestsTo('token')).toEqual([])
  // better said before the person signs in
  expect(await send(authUrl)).toMatchObject({ status: 410, location: undefined })
})

const wide = { ALLOWED_RETURN_DOMAINS: 'app.example.com,*.tenants.example.com,127.0.0.1:4444' }

test('[H10] where to return is checked at the start, naming the setting, and nothing is made', async ({
  broker: shared,
  database,
}) => {
  const provider = await openProvider(shared)
  await using broker = await startTestBroker(database, { env: wide })
  const count = async () => (await database.pool.query('select count(*)::int as n from connections')).rows[0].n
  const before = await count()
  for (const return_url of [
    'https://evil.example/',
    'http://app.example.com/',
    'https://app.example.com@evil.example/',
    'https://app.example.com\\@evil.example/',
    'https://app.example.com:8443/',
    '//app.example.com/',
    'javascript:alert(1)',
    'http://127.0.0.1:4445/',
  ]) {
    const answer = await broker.post('/auth/consent-spec', {
      workspace_id: 'u',
      provider_name: provider.name,
      return_url,
    })
    expect(answer, return_url).toMatchObject({
      status: 422,
      body: {
        code: 'return_url_not_allowed',
        details: { field: 'return_url', setting: 'ALLOWED_RETURN_DOMAINS' },
      },
    })
    expect(answer.text).toContain('ALLOWED_RETURN_DOMAINS')
  }
  expect(await count()).toBe(before)
})

test('[H10] a list that became narrower meanwhile is what counts at the end', async ({ broker: shared, database }) => {
  const provider = await openProvider(shared)
  const env = { ...wide, BASE_URL: shared.url }
  const journeys = []
  {
    await using broker = await startTestBroker(database, { env })
    for (const return_url of ['https://app.example.com/done', 'https://a.tenants.example.com/done']) {
      for (const error of [undefined, 'access_denied']) {
        provider.behave({ authorization: { error } })
        // the link leads to the public origin: the other Broker's, here
        journeys.push(await travel(broker, provider, { return_url }))
      }
    }
  }
  await using narrower = await startTestBroker(database, {
    env: { ...env, ALLOWED_RETURN_DOMAINS: '*.tenants.example.com' },
  })
  const landings = []
  for (const { callback, cookie, connection_id } of journeys) {
    const { status, location, text } = await send(atServer(callback, narrower.url), { cookie })
    const [, heading] = /<h1>(.*)<\/h1>/.exec(text) ?? []
    landings.push([status, location?.host ?? heading, (await connectionOf(narrower, connection_id)).status])
  }
  expect(landings).toEqual([
    [200, 'All done', 'active'],
    [200, 'You did not allow the connection', 'failed'],
    [303, 'a.tenants.example.com', 'active'],
    [303, 'a.tenants.example.com', 'failed'],
  ])
})

test('[H10] the URL’s own query and fragment survive, and forged parameters do not', async ({ broker }) => {
  const provider = await openProvider(broker)
  const return_url =
    'http://127.0.0.1:1/done?next=%2Fhome&flag&q=a%26b&status=success&error=no&connection_id=x&provider=y#part'
  const { location } = await arrive(await travel(broker, provider, { return_url }))
  expect(location?.hash).toBe('#part')
  expect(location?.searchParams.getAll('status')).toEqual(['success'])
  expect(returned({ status: 303, location, text: '', headers: new Headers() })).toEqual({
    next: '/home',
    flag: '',
    q: 'a&b',
    status: 'success',
    connection_id: expect.stringMatching(/^[\da-f-]{36}$/),
    provider: provider.name,
  })
})

const elsewhere = { token_url: 'http://127.0.0.1:9/token', client_secret: 'of-whoever-moves-it' }

test.for(['its first code', 'the code of a reconnect of what failed'])(
  '[A3] a profile that moves while %s is exchanged gets nothing of what was granted',
  async (which, { broker, database }) => {
    const provider = await openProvider(broker, {
      profile: (issuer) => ({ ...staticEndpoints(issuer), enable_discovery: false }),
    })
    let journey = await travel(broker, provider)
    if (which !== 'its first code') {
      await setStatus(database.pool, journey.connection_id, 'failed')
      journey = await travelAgain(broker, journey.connection_id)
    }
    const gate = answers.createGate('after')
    provider.next('token', gate.step)
    const arriving = arrive(journey)
    await gate.arrived
    await change(broker, provider, elsewhere)
    gate.open()

    expect(returned(await arriving)).toMatchObject({ status: 'error', error: 'link_expired' })
    expect(await connectionOf(broker, journey.connection_id)).toMatchObject({ status: 'failed' })
    expect((await broker.get(`/connections/${journey.connection_id}/token`)).status).toBe(409)
    expect(provider.requestsTo('revocation')).toEqual([])
  },
)

test.for([true, false])(
  '[A3] nor is it sent there to be revoked, where its connection was disconnected meanwhile (moved: %s)',
  async (moves, { broker }) => {
    const provider = await openProvider(broker, {
      profile: (issuer) => ({ ...staticEndpoints(issuer), enable_discovery: false }),
    })
    const journey = await travel(broker, provider)
    const gate = answers.createGate('after')
    provider.next('token', gate.step)
    const arriving = arrive(journey)
    await gate.arrived
    if (moves) await change(broker, provider, elsewhere)
    expect((await broker.send('DELETE', `/connections/${journey.connection_id}`)).status).toBe(200)
    gate.open()
    await arriving
    const queued = (await auditOf(broker, journey.connection_id)).includes('revocation.queued success')
    expect(queued).toBe(!moves)
  },
)
