import { createBrowser } from '@nexus/testing'
import { expect } from 'vitest'
import {
  type Scripted,
  connectionOf,
  consent,
  openLink,
  openProvider,
  returned,
  send,
  staticEndpoints,
  test,
} from './handshake-scene.ts'
import { type Client, isApp, readToken, requestConnection } from './harness.ts'

// `localhost` is another site than 127.0.0.1, so that a Lax cookie stays behind when the provider posts
const elsewhere = { provider: { host: 'localhost' }, profile: { params: { response_mode: 'form_post' } } } as const

/** A journey whose answer the provider posts: the test sends it as a browser would, or otherwise. */
async function travelToPost(broker: Client, provider: Scripted) {
  const { authUrl, connection_id } = await requestConnection(broker, { provider_name: provider.name })
  const departure = await openLink(authUrl)
  departure.url.searchParams.delete('response_mode')
  const callback = await consent(departure)
  const body = new URLSearchParams(callback.search)
  callback.search = ''
  return { ...departure, connection_id, callback, body }
}

test('[H7] a provider that answers by form_post connects, though its POST brings no cookie', async ({ broker }) => {
  const provider = await openProvider(broker, elsewhere)
  const { authUrl, connection_id } = await requestConnection(broker, { provider_name: provider.name })
  const page = await createBrowser().open(authUrl, { stopAt: isApp })
  expect(page.url.searchParams.get('status')).toBe('success')
  expect(page.trail.map(({ method, status }) => `${method} ${status}`)).toEqual([
    'GET 303',
    'GET 200',
    'POST 303',
    'GET 303',
  ])
  expect((await readToken(broker, connection_id)).status).toBe(200)
  expect(provider.violations).toEqual([])
})

test('[H7] errors come by form_post too', async ({ broker }) => {
  const provider = await openProvider(broker, elsewhere)
  provider.behave({ authorization: { error: 'access_denied' } })
  const { authUrl } = await requestConnection(broker, { provider_name: provider.name })
  const page = await createBrowser().open(authUrl, { stopAt: isApp })
  expect(Object.fromEntries(page.url.searchParams)).toMatchObject({ status: 'error', error: 'access_denied' })
})

test('[H7] the POST consumes nothing, whatever cookie it carries, and passes on four parameters', async ({
  broker,
}) => {
  const provider = await openProvider(broker)
  const { callback, body, cookie, connection_id } = await travelToPost(broker, provider)
  const posted = new URLSearchParams([...body, ['error_description', 'x'], ['session_state', 'y'], ['user', '{}']])
  for (const carried of [undefined, cookie]) {
    const { status, location, headers } = await send(callback, { method: 'POST', body: posted, cookie: carried })
    expect(status).toBe(303)
    expect(location?.pathname).toBe(callback.pathname)
    expect(Object.fromEntries(location?.searchParams ?? [])).toEqual(Object.fromEntries(body))
    expect([...body.keys()].toSorted()).toEqual(['code', 'iss', 'state'])
    expect(headers.has('set-cookie')).toBe(false)
  }
  expect(provider.requestsTo('token')).toEqual([])
  expect(await connectionOf(broker, connection_id)).toMatchObject({ status: 'pending' })

  const turned = await send(callback, { method: 'POST', body: posted })
  expect(await send(turned.location ?? '')).toMatchObject({ status: 403 })
  expect(returned(await send(turned.location ?? '', { cookie }))).toMatchObject({ status: 'success' })
})

test('[H7] a query beside the form is not passed on', async ({ broker }) => {
  const provider = await openProvider(broker)
  const { callback, body } = await travelToPost(broker, provider)
  const { location } = await send(`${callback.href}?error=access_denied&state=x`, { method: 'POST', body })
  expect(Object.fromEntries(location?.searchParams ?? [])).toEqual(Object.fromEntries(body))
})

const form = 'application/x-www-form-urlencoded'

test.for([
  ['a parameter given twice', 400, form, (body: string) => `${body}&code=another`],
  ['a state given twice', 400, form, (body: string) => `${body}&${body}`],
  ['a parameter named like a prototype’s', 400, form, (body: string) => `${body}&__proto__=x`],
  ['an overlong code', 400, form, () => `state=x&code=${'c'.repeat(9_000)}`],
  ['more than 64 KiB', 413, form, (body: string) => `${body}&filler=${'x'.repeat(65_536)}`],
  ['JSON', 415, 'application/json', (body: string) => JSON.stringify(Object.fromEntries(new URLSearchParams(body)))],
  ['plain text', 415, 'text/plain', (body: string) => body],
  ['multipart', 415, 'multipart/form-data; boundary=x', (body: string) => body],
] as const)('[C5] %s in the form is refused', async ([, status, type, change], { broker }) => {
  const provider = await openProvider(broker)
  const { callback, body, cookie } = await travelToPost(broker, provider)
  const answer = await send(callback, {
    method: 'POST',
    cookie,
    headers: { 'content-type': type },
    body: change(body.toString()),
  })
  expect(answer).toMatchObject({ status, location: undefined })
  expect(answer.headers.get('content-type')).toContain('text/html')
  expect(returned(await send(`${callback.href}?${body.toString()}`, { cookie }))).toMatchObject({ status: 'success' })
})

test('[C5] a form of 64 KiB is still read, and an empty one leads to the page for broken links', async ({ broker }) => {
  const provider = await openProvider(broker)
  const { callback, body } = await travelToPost(broker, provider)
  const start = `${body.toString()}&filler=`
  const headers = { 'content-type': form }
  const full = start + 'x'.repeat(65_536 - start.length)
  expect(await send(callback, { method: 'POST', headers, body: full })).toMatchObject({ status: 303 })

  const empty = await send(callback, { method: 'POST', headers, body: '' })
  expect(empty).toMatchObject({ status: 303, location: { search: '' } })
  expect(await send(empty.location ?? '')).toMatchObject({ status: 400 })
})

test('[H6] form_post keeps to the path of its profile', async ({ broker }) => {
  const provider = await openProvider(broker, { profile: staticEndpoints })
  const { callback, body, cookie } = await travelToPost(broker, provider)
  expect(callback.pathname).toBe(`/auth/callback/${provider.name}`)
  const elsewherePath = await send(new URL('/auth/callback', callback), { method: 'POST', body })
  expect(elsewherePath.location?.pathname).toBe('/auth/callback')
  expect(await send(elsewherePath.location ?? '', { cookie })).toMatchObject({ status: 400 })
})
