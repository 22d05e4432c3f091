import { createStateSigner } from '@nexus/crypto'
import { expect } from 'vitest'
import { apiKey, openPageFor, registerStatic, submitPage } from './connect-scene.ts'
import { auditOf, connectionOf, openLink, openProvider, returned, send, test } from './handshake-scene.ts'
import { type Client, fileKeys, readToken, requestConnection, startTestBroker } from './harness.ts'

const signer = createStateSigner({ key: Buffer.from(fileKeys.STATE_KEY, 'base64') })
const good = { 'credentials[api_key]': apiKey }

async function expectPending(broker: Client, id: string): Promise<void> {
  expect(await connectionOf(broker, id)).toMatchObject({ status: 'pending' })
}

test('a form that is filled in connects, sends the person back, and takes its cookie away', async ({ broker }) => {
  const opened = await openPageFor(broker, await registerStatic(broker))
  const answer = await submitPage(opened, good)
  expect(returned(answer)).toMatchObject({ status: 'success', connection_id: opened.connection_id, from: 'app' })
  expect(answer.headers.get('set-cookie')).toContain(`${opened.cookie.split('=')[0]}=; Path=/; Max-Age=0`)
  const token = await readToken(broker, opened.connection_id)
  expect(token.body).toMatchObject({ strategy: { type: 'header' }, credentials: { api_key: apiKey } })
})

test('[H2] of many sendings of one form one is kept, and all are answered as it was', async ({ broker }) => {
  const opened = await openPageFor(broker, await registerStatic(broker))
  const values = Array.from({ length: 6 }, (_, index) => `${apiKey}${index}`)
  const answers = await Promise.all(values.map((value) => submitPage(opened, { 'credentials[api_key]': value })))
  answers.push(await submitPage(opened, { 'credentials[api_key]': 'too-late' }))
  for (const answer of answers) expect(returned(answer)).toMatchObject({ status: 'success' })
  const { body } = await readToken(broker, opened.connection_id)
  expect(values).toContain('api_key' in body.credentials && body.credentials['api_key'])
  const kept = (await auditOf(broker, opened.connection_id)).filter((event) => event.startsWith('credential_captured'))
  expect(kept).toHaveLength(1)
})

test('[H3] a state of another purpose opens no form, and that of a form no callback', async ({ broker }) => {
  const provider = await openProvider(broker)
  const asked = await requestConnection(broker, { provider_name: provider.name })
  const departure = await openLink(asked.authUrl)
  // of its own attempt and cookie, but made for the provider
  const oauth = await submitPage({ ...asked, state: departure.state, cookie: departure.cookie }, good)
  expect(oauth.status).toBe(400)

  const opened = await openPageFor(broker, await registerStatic(broker))
  const claims = signer.verify(opened.state)!
  for (const purpose of ['request', 'oauth', 'confirm'] as const) {
    const { status } = await submitPage({ ...opened, state: signer.sign({ ...claims, purpose }) }, good)
    expect(status, purpose).toBeGreaterThanOrEqual(400)
  }
  const callback = new URL(`${provider.redirectUri}?code=x`)
  callback.searchParams.set('state', opened.state)
  expect((await send(callback, { cookie: opened.cookie })).status).toBe(400)
  await expectPending(broker, asked.connection_id)
  await expectPending(broker, opened.connection_id)
  expect(returned(await submitPage(opened, good))).toMatchObject({ status: 'success' })
})

test('[H4] without its cookie, or with that of another attempt, a form connects nothing', async ({ broker }) => {
  const name = await registerStatic(broker)
  const opened = await openPageFor(broker, name)
  const other = await openPageFor(broker, name)
  for (const cookie of ['', other.cookie, `${opened.cookie}; ${opened.cookie}`, `${opened.cookie.split('=')[0]}=x`]) {
    const answer = await submitPage({ ...opened, cookie }, good)
    expect(answer.status).toBe(403)
    // the link is in hand: it may be opened again
    expect(answer.text).toContain(`href="${new URL(opened.authUrl).pathname}"`)
  }
  await expectPending(broker, opened.connection_id)
  expect(await auditOf(broker, opened.connection_id)).toContain('state_verification_failed wrong_browser')
})

test.for([
  { origin: 'https://evil.example' },
  { 'sec-fetch-site': 'cross-site', origin: 'null' },
  { 'sec-fetch-site': 'same-site' },
])(
  'a form that a browser says was sent from elsewhere is refused, all else being right: %j',
  async (headers, { broker }) => {
    const opened = await openPageFor(broker, await registerStatic(broker))
    expect((await submitPage(opened, good, { headers })).status).toBe(400)
    await expectPending(broker, opened.connection_id)
    const { body } = await broker.get<{ events: { outcome: string }[] }>('/audit?event_type=state_verification_failed')
    expect(body.events[0]).toMatchObject({ outcome: 'foreign_origin' })
    expect(returned(await submitPage(opened, good))).toMatchObject({ status: 'success' })
  },
)

test.for(['a\r\nX-Injected: 1', 'a\nb', 'a\0b'])(
  'a value that would break out of a header is refused by the name of its field, and not repeated: %j',
  async (value, { broker }) => {
    const opened = await openPageFor(broker, await registerStatic(broker))
    const answer = await submitPage(opened, { 'credentials[api_key]': value })
    expect(answer.status).toBe(422)
    expect(answer.text).toContain('API key</bdi>: This contains line breaks or invisible characters')
    expect(answer.text).not.toContain('Injected')
    await expectPending(broker, opened.connection_id)
  },
)

test('[C5] what is no form, too large, or says a thing twice is not read', async ({ broker }) => {
  const opened = await openPageFor(broker, await registerStatic(broker))
  const json = {
    body: JSON.stringify({ state: opened.state, ...good }),
    headers: { 'content-type': 'application/json' },
  }
  expect((await submitPage(opened, {}, json)).status).toBe(415)
  const large = await submitPage(opened, { 'credentials[api_key]': 'x'.repeat(65_536) })
  expect(large.status).toBe(413)
  for (const name of ['state', 'credentials[api_key]']) {
    const body = new URLSearchParams({ state: opened.state, ...good })
    body.append(name, 'another')
    expect((await submitPage(opened, {}, { body })).status).toBe(400)
  }
  expect((await submitPage(opened, { ...good, 'credentials[__proto__]': '1' })).status).toBe(422)
  expect((await submitPage(opened, { ...good, ['__proto__']: '1' })).status).toBe(400)
  await expectPending(broker, opened.connection_id)
})

test('[L1] what was typed in never reaches a log, accepted or refused', async ({ broker }) => {
  const schema = { type: 'object', required: ['api_key'], properties: { api_key: { type: 'string', maxLength: 40 } } }
  const opened = await openPageFor(broker, await registerStatic(broker, { params: { credential_schema: schema } }))
  broker.logs.clear()
  const typed = { 'credentials[api_key]': `${apiKey}-refused-for-its-length-canary` }
  expect((await submitPage(opened, typed)).status).toBe(422)
  expect((await submitPage({ ...opened, cookie: '' }, good)).status).toBe(403)
  expect((await submitPage(opened, { 'credentials[api_key]': '', [`credentials[${apiKey}]`]: 'x' })).status).toBe(422)
  expect((await submitPage(opened, good)).status).toBe(303)
  const logged = broker.logs.text()
  expect(logged).toContain('/auth/connect/')
  for (const secret of [apiKey, 'canary', opened.state, opened.cookie, new URL(opened.authUrl).pathname]) {
    expect(logged.includes(secret), secret).toBe(false)
  }
})

test('[H9] the form may lead to the provider and to the app, over http only where Nexus itself is on loopback', async ({
  broker,
  database,
}) => {
  const policyOf = (headers: Headers) => /form-action [^;]*/.exec(headers.get('content-security-policy') ?? '')?.[0]
  const onLoopback = await openPageFor(broker, await registerStatic(broker))
  expect(policyOf(onLoopback.page.headers)).toBe("form-action 'self' https: http:")
  const refused = await submitPage(onLoopback, {})
  expect([refused.status, policyOf(refused.headers)]).toEqual([422, "form-action 'self' https: http:"])

  await using published = await startTestBroker(database, { env: { BASE_URL: 'https://nexus.example' } })
  const opened = await openPageFor(published, await registerStatic(published), { return_url: undefined })
  expect(policyOf(opened.page.headers)).toBe("form-action 'self' https:")
  expect(opened.cookie).toMatch(/^__Host-nx-/)
  for (const name of ['referrer-policy', 'cache-control', 'x-content-type-options']) {
    expect(opened.page.headers.has(name)).toBe(true)
  }
})

test('a page that asks first sends nobody to the provider until its form comes back, and then as often as it does', async ({
  broker,
}) => {
  const provider = await openProvider(broker)
  const opened = await openPageFor(broker, provider.name, { confirm: true })
  const [first, second] = [await submitPage(opened, {}), await submitPage(opened, {})]
  for (const { status, location } of [first, second]) {
    expect([status, location?.origin]).toEqual([303, new URL(provider.issuer).origin])
  }
  expect((await submitPage({ ...opened, cookie: '' }, {})).status).toBe(403)
  const callback = await send(first.location!)
  const arrived = await send(callback.location!, { cookie: opened.cookie })
  expect(returned(arrived)).toMatchObject({ status: 'success', connection_id: opened.connection_id })
})

test('where a provider must be asked and cannot be, nothing is kept and the form says so', async ({ broker }) => {
  const opened = await openPageFor(
    broker,
    await registerStatic(broker, {
      display_name: 'Payments',
      api_base_url: 'http://127.0.0.1:1',
      user_info_endpoint: 'http://127.0.0.1:1/me',
      verify: 'required',
    }),
  )
  const answer = await submitPage(opened, good)
  expect(answer.status).toBe(502)
  expect(answer.text).toContain('<bdi>Payments</bdi></strong> could not be asked whether this is right')
  await expectPending(broker, opened.connection_id)
})

test('[H8] a profile that is removed while its form is open takes nothing more, and the person is told', async ({
  broker,
}) => {
  const name = await registerStatic(broker)
  const opened = await openPageFor(broker, name)
  expect((await broker.send('DELETE', `/providers/by-name/${name}`)).status).toBe(204)
  const answer = await submitPage(opened, { 'credentials[api_key]': apiKey })
  expect(answer.status).toBe(410)
  expect(answer.text).not.toContain('The link is incomplete')
  expect(await broker.get(`/connections/${opened.connection_id}`)).toMatchObject({ body: { status: 'pending' } })
})

test('[H2] a form with a field it does not have is over like any other once its link was used', async ({ broker }) => {
  const opened = await openPageFor(broker, await registerStatic(broker))
  const stray = { 'credentials[api_key]': apiKey, 'credentials[other]': 'x' }
  expect((await submitPage(opened, stray)).status).toBe(422)
  const kept = await submitPage(opened, { 'credentials[api_key]': apiKey })
  expect(kept.status).toBe(303)
  const late = await submitPage(opened, stray)
  expect([late.status, late.location?.href]).toEqual([303, kept.location?.href])
})
