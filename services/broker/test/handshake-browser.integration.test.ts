import { createBrowser } from '@nexus/testing'
import { expect } from 'vitest'
import {
  type Journey,
  arrive,
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
import { isApp, makeKeys, readToken, requestConnection, startTestBroker } from './harness.ts'

test('[H4] every opening of a link is an attempt with secrets of its own', async ({ broker }) => {
  const provider = await openProvider(broker)
  const { authUrl } = await requestConnection(broker, { provider_name: provider.name })
  const openings = [await openLink(authUrl), await openLink(authUrl), await openLink(authUrl)]
  const distinct = (values: readonly (string | null)[]) => new Set(values).size
  expect(distinct(openings.map(({ state }) => state))).toBe(3)
  for (const name of ['nonce', 'code_challenge']) {
    expect(distinct(openings.map(({ url }) => url.searchParams.get(name)))).toBe(3)
  }
  expect(distinct(openings.map(({ cookie }) => cookie.split('=')[0] ?? ''))).toBe(3)
  for (const { setCookie } of openings) {
    // on plain http of a loopback address, where no browser takes Secure
    expect(setCookie).toMatch(/^nx-[\da-f]{16}=[\w-]{43}; Path=\/; Max-Age=600; HttpOnly; SameSite=Lax$/)
  }
})

test('[H4] on https the cookie is a __Host- cookie, and the whole way works behind a proxy', async ({
  emptyDatabase,
}) => {
  const BASE_URL = 'https://nexus.test'
  const keys = makeKeys()
  await using broker = await startTestBroker(emptyDatabase, { keys, env: { BASE_URL } })
  const provider = await openProvider(broker)
  const { authUrl, connection_id } = await requestConnection(broker, { provider_name: provider.name })
  expect(authUrl).toMatch(/^https:\/\/nexus\.test\/auth\/connect\/[\w-]{43}$/)

  const opened = await send(new URL(new URL(authUrl).pathname, broker.url))
  expect(opened.headers.get('set-cookie')).toMatch(
    /^__Host-nx-[\da-f]{16}=[\w-]{43}; Path=\/; Max-Age=600; HttpOnly; SameSite=Lax; Secure$/,
  )

  const browser = createBrowser({ hosts: { [BASE_URL]: broker.url } })
  const page = await browser.open(authUrl, { stopAt: isApp })
  expect(page.url.searchParams.get('status')).toBe('success')
  expect(browser.jar.cookies()).toEqual([])
  expect((await readToken(broker, connection_id)).status).toBe(200)
})

const wrongCookies: readonly (readonly [string, (journey: Journey, other: Journey) => string | undefined])[] = [
  ['no cookie', () => undefined],
  ['an empty cookie', ({ cookie }) => `${cookie.split('=')[0]}=`],
  ['the cookie of another attempt', (_, other) => other.cookie],
  ['the value of another attempt', ({ cookie }, other) => `${cookie.split('=')[0]}=${other.cookie.split('=')[1]}`],
  ['the cookie twice', ({ cookie }) => `${cookie}; ${cookie}`],
  ['the cookie and a second value', ({ cookie }) => `${cookie}; ${cookie.split('=')[0]}=tossed`],
  ['the cookie with more behind it', ({ cookie }) => `${cookie}x`],
  ['the cookie in quotes', ({ cookie }) => cookie.replace('=', '="').concat('"')],
  ['a cookie whose name only begins alike', ({ cookie }) => cookie.replace('=', 'x=')],
  ['a cookie whose name begins with a no-break space', ({ cookie }) => `\u00a0${cookie}`],
]

test.for(wrongCookies)('[H4] %s: the callback goes no further and changes nothing', async ([, wrong], { broker }) => {
  const provider = await openProvider(broker)
  const [journey, other] = [await travel(broker, provider), await travel(broker, provider)]
  const arrival = await send(journey.callback, { cookie: wrong(journey, other) })
  expect(arrival).toMatchObject({ status: 403, location: undefined })
  expect(arrival.text).toContain('not the browser you started in')
  expect(arrival.headers.has('set-cookie')).toBe(false)

  expect(provider.requestsTo('token')).toEqual([])
  expect(await auditOf(broker, journey.connection_id)).toEqual([
    'connection.requested success',
    'state_verification_failed wrong_browser',
  ])
  expect(returned(await arrive(journey))).toMatchObject({ status: 'success' })
})

test('[H4] other cookies of the same site make no difference', async ({ broker }) => {
  const journey = await travel(broker, await openProvider(broker))
  const cookie = `theme=dark; ${journey.cookie}; nx-0000000000000000=other; session="a b"`
  expect(returned(await send(journey.callback, { cookie }))).toMatchObject({ status: 'success' })
})

const strangers = [
  ['a bogus code', (url: URL) => url.searchParams.set('code', 'stolen-or-made-up')],
  ['an error', (url: URL) => url.searchParams.set('error', 'access_denied')],
  ['no code at all', (url: URL) => url.searchParams.delete('code')],
  ['a wrong issuer', (url: URL) => url.searchParams.set('iss', 'https://evil.example')],
] as const

test.for(strangers)(
  '[H11] a stranger who knows the state cannot fail the connection by %s',
  async (scene, { broker }) => {
    const [, change] = scene
    const provider = await openProvider(broker)
    const journey = await travel(broker, provider)
    const url = new URL(journey.callback)
    change(url)
    expect(await send(url)).toMatchObject({ status: 403 })
    expect(await send(url, { method: 'POST', body: url.searchParams })).toMatchObject({ status: 303 })
    expect(provider.requestsTo('token')).toEqual([])
    expect(await connectionOf(broker, journey.connection_id)).toMatchObject({ status: 'pending' })
    expect(returned(await arrive(journey))).toMatchObject({ status: 'success' })
  },
)

test('[H11] states and tickets that were never given out open nothing', async ({ broker }) => {
  const provider = await openProvider(broker)
  const journey = await travel(broker, provider)
  for (const path of ['/auth/callback?code=x&state=y', '/auth/callback', '/auth/callback?error=access_denied']) {
    expect(await send(new URL(path, broker.url), { cookie: journey.cookie })).toMatchObject({ status: 400 })
  }
  const ticket = journey.authUrl.split('/').at(-1) ?? ''
  for (const guess of [ticket.slice(1), `${ticket}x`, ticket.toLowerCase(), ticket.slice(0, -1), 'x', 'x'.repeat(65)]) {
    const { status, headers } = await send(`${broker.url}/auth/connect/${guess}`)
    expect([400, 404]).toContain(status)
    expect(headers.has('set-cookie')).toBe(false)
  }
  expect(returned(await arrive(journey))).toMatchObject({ status: 'success' })
})

test('[H4] the code of one attempt does not fit another: the verifier is another', async ({ broker }) => {
  const provider = await openProvider(broker)
  // an attacker's code, brought into the victim's browser with the victim's own state and cookie (RFC 9700 §4.5)
  const [victim, attacker] = [await travel(broker, provider), await travel(broker, provider)]
  const url = new URL(victim.callback)
  url.searchParams.set('code', attacker.callback.searchParams.get('code') ?? '')
  expect(returned(await send(url, { cookie: victim.cookie }))).toMatchObject({ error: 'provider_rejected' })
  expect(provider.violations).toEqual(['token: code_verifier does not match the code_challenge'])
  expect(await connectionOf(broker, victim.connection_id)).toMatchObject({ status: 'failed' })
})

test('[H4] a link that a scanner opened first works for the person, who may come back to it', async ({ broker }) => {
  const provider = await openProvider(broker)
  const { authUrl, connection_id } = await requestConnection(broker, { provider_name: provider.name })
  const scanner = await openLink(authUrl)
  // scanners follow redirects as far as they lead, with or without cookies
  const scanned = await consent(scanner)
  expect(await send(scanned)).toMatchObject({ status: 403 })

  const first = await openLink(authUrl)
  const again = await openLink(authUrl)
  const callback = await consent(first)
  expect(returned(await send(callback, { cookie: `${again.cookie}; ${first.cookie}` }))).toMatchObject({
    status: 'success',
    connection_id,
  })
  expect((await send(authUrl)).text).toContain('already used')
})
