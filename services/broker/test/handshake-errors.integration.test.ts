import { expect } from 'vitest'
import {
  type Arrival,
  arrive,
  auditOf,
  connectionOf,
  consent,
  openLink,
  openProvider,
  returned,
  send,
  staticEndpoints,
  test,
  travel,
} from './handshake-scene.ts'
import { requestConnection } from './harness.ts'

const answered = [
  ['a registered error', 'access_denied', 'access_denied'],
  ['another registered error', 'temporarily_unavailable', 'temporarily_unavailable'],
  ['an error of its own', 'user_cancelled_login', 'provider_rejected'],
  ['markup', '<script>alert(1)</script>', 'provider_rejected'],
  ['one of our own codes', 'internal', 'provider_rejected'],
  ['success', 'success', 'provider_rejected'],
  ['an empty error', '', 'provider_rejected'],
] as const

test.for(answered)('[H7] a provider that answers %s: back to the app, nothing exchanged', async (row, { broker }) => {
  const [, error, shown] = row
  const provider = await openProvider(broker, { provider: { behaviour: { authorization: { error } } } })
  const journey = await travel(broker, provider)
  const arrival = await arrive(journey)
  expect(returned(arrival)).toEqual({
    from: 'app',
    status: 'error',
    error: shown,
    connection_id: journey.connection_id,
    provider: provider.name,
  })
  expect(arrival.headers.get('set-cookie')).toBe(
    `${journey.cookie.split('=')[0]}=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax`,
  )
  expect(provider.requestsTo('token')).toEqual([])
  expect(await connectionOf(broker, journey.connection_id)).toMatchObject({ status: 'failed', status_reason: shown })
  expect(await auditOf(broker, journey.connection_id)).toEqual(['connection.requested success', `oauth_error ${shown}`])
})

const canary = 'canary-in-a-description'

test('[H7] an error_description is shown nowhere', async ({ broker }) => {
  for (const spec of [{}, { return_url: undefined }]) {
    const provider = await openProvider(broker, {
      provider: { behaviour: { authorization: { error: 'access_denied', errorDescription: `<b>${canary}</b>` } } },
    })
    const journey = await travel(broker, provider, spec)
    expect(journey.callback.href).toContain(canary)
    const { text, location } = await arrive(journey)
    expect(text + (location?.href ?? '')).not.toContain(canary)
    expect((await broker.get(`/audit?connection_id=${journey.connection_id}`)).text).not.toContain(canary)
  }
  expect(broker.logs.text()).not.toContain(canary)
})

test('[H7] without a return_url the person reads what happened', async ({ broker }) => {
  for (const [error, heading] of [
    ['access_denied', 'You did not allow the connection'],
    ['server_error', 'The other service could not complete the sign-in'],
  ] as const) {
    const provider = await openProvider(broker, { provider: { behaviour: { authorization: { error } } } })
    const arrival = await arrive(await travel(broker, provider, { return_url: undefined }))
    expect(arrival).toMatchObject({ status: 200, location: undefined })
    expect(arrival.text).toContain(heading)
    // the link is used up: to open it again would not help
    expect(arrival.text).toContain('start over')
    expect(arrival.text).not.toContain('open your connect link again')
  }
})

test('[H7] error wins over a code that comes with it, and no code at all is an error', async ({ broker }) => {
  const provider = await openProvider(broker, {
    provider: { behaviour: { authorization: { extra: { error: 'access_denied' } } } },
  })
  const both = await travel(broker, provider)
  expect(both.callback.searchParams.get('code')).toMatch(/^code-/)
  expect(returned(await arrive(both))).toMatchObject({ status: 'error', error: 'access_denied' })

  provider.behave({ authorization: { extra: {}, code: null } })
  expect(returned(await arrive(await travel(broker, provider)))).toMatchObject({ error: 'invalid_request' })
  expect(provider.requestsTo('token')).toEqual([])
})

test('[H7] HEAD and OPTIONS, and every other method, use nothing up', async ({ broker }) => {
  const provider = await openProvider(broker)
  const { authUrl } = await requestConnection(broker, { provider_name: provider.name })
  const journey = await travel(broker, provider)
  for (const method of ['HEAD', 'OPTIONS', 'PUT', 'DELETE', 'PATCH', 'PROPFIND']) {
    for (const [url, cookie] of [
      [journey.callback, journey.cookie],
      [authUrl, undefined],
    ] as const) {
      const { status, headers, location } = await send(url, { method, cookie })
      expect({ method, status, location }).toEqual({ method, status: 404, location: undefined })
      expect(headers.has('set-cookie')).toBe(false)
    }
  }
  expect(provider.requestsTo('token')).toEqual([])
  expect(returned(await arrive(journey))).toMatchObject({ status: 'success' })
})

/** The answer to a callback whose issuer is wrong: back to the app, and nothing has changed. */
async function expectIssuerRefused(arrival: Arrival): Promise<void> {
  expect(returned(arrival)).toMatchObject({ status: 'error', error: 'invalid_state', from: 'app' })
  expect(arrival.headers.has('set-cookie')).toBe(false)
}

const wrongIssuers = [
  ['of another provider', () => 'https://evil.example'],
  ['with a slash behind it', (issuer: string) => `${issuer}/`],
  ['in capitals', (issuer: string) => issuer.toUpperCase()],
  ['on another port', (issuer: string) => issuer.replace(/\d+$/, '1')],
  ['that is empty', () => ''],
] as const

test.for(wrongIssuers)('[H6] a response with an issuer %s is refused before anything else', async (row, { broker }) => {
  const [, lie] = row
  const provider = await openProvider(broker)
  const journey = await travel(broker, provider)
  for (const error of [undefined, 'access_denied']) {
    const url = new URL(journey.callback)
    url.searchParams.set('iss', lie(provider.issuer))
    if (error !== undefined) url.searchParams.set('error', error)
    await expectIssuerRefused(await send(url, { cookie: journey.cookie }))
  }
  expect(provider.requestsTo('token')).toEqual([])
  expect(await auditOf(broker, journey.connection_id)).toEqual([
    'connection.requested success',
    'oauth_error wrong_issuer',
    'oauth_error wrong_issuer',
  ])
  expect(await connectionOf(broker, journey.connection_id)).toMatchObject({ status: 'pending' })
  expect(returned(await arrive(journey))).toMatchObject({ status: 'success' })
})

test('[H6] a response without iss is refused where the metadata promises it, errors included', async ({ broker }) => {
  const provider = await openProvider(broker)
  const journey = await travel(broker, provider)
  for (const error of [undefined, 'access_denied']) {
    const url = new URL(journey.callback)
    url.searchParams.delete('iss')
    if (error !== undefined) url.searchParams.set('error', error)
    await expectIssuerRefused(await send(url, { cookie: journey.cookie }))
  }
  expect(provider.requestsTo('token')).toEqual([])
  expect(returned(await arrive(journey))).toMatchObject({ status: 'success' })
})

test('[H6] a provider that promises no iss need not send it, but may not send a wrong one', async ({ broker }) => {
  const metadata = { authorization_response_iss_parameter_supported: undefined }
  const provider = await openProvider(broker, {
    provider: { behaviour: { metadata, authorization: { iss: null } } },
  })
  // nobody promised to name himself, so the path has to tell
  expect(new URL(provider.redirectUri).pathname).toBe(`/auth/callback/${provider.name}`)
  expect(returned(await arrive(await travel(broker, provider)))).toMatchObject({ status: 'success' })

  provider.behave({ authorization: { iss: 'https://evil.example' } })
  await expectIssuerRefused(await arrive(await travel(broker, provider)))
})

test('[P3] where the profile names no issuer, one in the response says nothing', async ({ broker }) => {
  const provider = await openProvider(broker, {
    profile: staticEndpoints,
    provider: { behaviour: { authorization: { iss: 'https://whoever.example' } } },
  })
  expect(returned(await arrive(await travel(broker, provider)))).toMatchObject({ status: 'success' })
})

test('[H6] the issuer of static endpoints is compared where it comes', async ({ broker }) => {
  const provider = await openProvider(broker, {
    profile: (issuer) => ({ ...staticEndpoints(issuer), issuer, enable_discovery: false }),
  })
  expect(returned(await arrive(await travel(broker, provider)))).toMatchObject({ status: 'success' })
  provider.behave({ authorization: { iss: 'https://evil.example' } })
  await expectIssuerRefused(await arrive(await travel(broker, provider)))
})

test('[H6] a code of another provider, brought to this one’s callback, is not sent anywhere', async ({ broker }) => {
  // RFC 9700 §4.4: the attacker's provider sends the browser back with the honest one's code
  const [honest, attacker] = [await openProvider(broker), await openProvider(broker)]
  const { authUrl } = await requestConnection(broker, { provider_name: attacker.name })
  const departure = await openLink(authUrl)
  const stolen = await consent(
    await openLink((await requestConnection(broker, { provider_name: honest.name })).authUrl),
  )
  stolen.searchParams.set('state', departure.state)
  await expectIssuerRefused(await send(stolen, { cookie: departure.cookie }))
  expect([...attacker.requestsTo('token'), ...honest.requestsTo('token')]).toEqual([])
})
