import { expect, test } from 'vitest'
import { makeAgentToken } from './agents.ts'
import { makeState, send, startGateway, type Sent } from './harness.ts'
import { startScriptedBroker } from './scripted-broker.ts'

const form = { 'content-type': 'application/x-www-form-urlencoded' }

test('forwards exactly these routes, as they were asked for', async () => {
  await using broker = await startScriptedBroker()
  await using gateway = await startGateway(broker)
  const state = makeState(gateway)
  const forwarded: readonly Sent[] = [
    { target: '/auth/connect/Ab-_9' },
    { method: 'POST', target: '/auth/connect/Ab-_9', headers: form, body: 'confirm=yes' },
    { method: 'POST', target: '/auth/connect/Ab-_9' },
    { target: `/auth/callback?code=a%2Bb%20c+d&state=${state}&iss=https%3A%2F%2Fi.example` },
    { target: `/auth/callback/google-2?error=access_denied&state=${state}` },
    { method: 'POST', target: '/auth/callback', headers: form, body: `code=a%2Bb+c&state=${state}&x=%E4` },
    { method: 'POST', target: '/auth/callback/google', headers: form, body: `state=${state}` },
    { target: '/auth/assets/page.css' },
    { target: '/auth/assets/fonts/a-b_c.woff2?v=2' },
  ]
  for (const { method = 'GET', target } of forwarded) {
    broker.answer(`${method} ${target.split('?', 1).join('')}`, { body: 'from the Broker' })
  }

  for (const sent of forwarded) {
    const answer = await send(gateway, sent)
    expect([answer.status, answer.text], sent.target).toEqual([200, 'from the Broker'])
  }

  expect(broker.requests.map(({ method, target, body }) => ({ method, target, body }))).toEqual(
    forwarded.map(({ method = 'GET', target, body = '' }) => ({ method, target, body })),
  )
})

test('another REDIRECT_PATH moves the callback, dots and all', async () => {
  await using broker = await startScriptedBroker()
  await using gateway = await startGateway(broker, { env: { REDIRECT_PATH: '/auth/v1.0/return' } })
  broker.answer('GET /auth/v1.0/return/google', { body: 'here' })

  const target = `/auth/v1.0/return/google?state=${makeState(gateway)}`
  expect((await send(gateway, { target })).text).toBe('here')
  expect((await send(gateway, { target: '/auth/v1x0/return' })).status).toBe(404)
  expect((await send(gateway, { target: '/auth/callback' })).status).toBe(404)
})

test('[H7] HEAD and OPTIONS, and every other method, stay at the edge', async () => {
  await using broker = await startScriptedBroker()
  await using gateway = await startGateway(broker)
  const paths = ['/auth/connect/ticket', `/auth/callback?state=${makeState(gateway)}`, '/auth/assets/page.css']

  for (const target of paths) {
    for (const method of ['HEAD', 'OPTIONS', 'PUT', 'DELETE', 'PATCH', 'TRACE']) {
      expect((await send(gateway, { method, target })).status, `${method} ${target}`).toBe(404)
    }
  }
  expect((await send(gateway, { method: 'POST', target: '/auth/assets/page.css' })).status).toBe(404)
  expect(broker.requests).toEqual([])
})

test('no credential of an agent or operator reaches a public route, nor anything else it did not ask for', async () => {
  await using broker = await startScriptedBroker()
  await using gateway = await startGateway(broker, { env: { TRUSTED_PROXIES: '127.0.0.1' } })
  broker.answer('GET /auth/connect/ticket', { body: 'page' })

  await send(gateway, {
    target: '/auth/connect/ticket',
    headers: {
      authorization: `Bearer ${makeAgentToken('canary')}`,
      'proxy-authorization': 'Basic canary',
      'x-api-key': 'canary',
      'x-nexus-api-key': makeAgentToken('canary'),
      'x-nexus-identity': 'canary',
      'x-nexus-zone-id': 'canary',
      forwarded: 'for=canary',
      host: 'canary.example',
      'x-forwarded-host': 'canary.example',
      'x-forwarded-proto': 'canary',
      'x-original-url': '/canary',
      'x-forwarded-for': '198.51.100.3, 203.0.113.9',
      'x-http-method-override': 'DELETE',
      te: 'trailers',
      connection: 'close, x-canary',
      'x-canary': 'canary',
      cookie: 'session=canary; __Host-nx-aa11=kept; nx-bb22=also kept; xnx-c=canary; __Host-nxc=canary; a=nx-d=canary',
      accept: 'text/html',
      'accept-language': 'de',
      'user-agent': 'Browser/1',
      'sec-fetch-site': 'cross-site',
    },
  })

  expect(broker.requests[0]?.headers).toEqual({
    host: `127.0.0.1:${broker.port}`,
    connection: 'keep-alive',
    accept: 'text/html',
    'accept-language': 'de',
    'sec-fetch-site': 'cross-site',
    'user-agent': 'Browser/1',
    cookie: '__Host-nx-aa11=kept; nx-bb22=also kept',
    'x-forwarded-for': '203.0.113.9',
    'x-request-id': expect.any(String),
  })
  expect(broker.requests[0]?.rawHeaders.join('\n')).not.toContain('canary')
})

test('[H9] the answer of the Broker passes whole: redirects unfollowed, every cookie, its own policy', async () => {
  await using broker = await startScriptedBroker()
  await using gateway = await startGateway(broker)
  const cookies = [
    '__Host-nx-a=1; Path=/; Secure; HttpOnly; SameSite=Lax',
    'nx-b=; Max-Age=0; Path=/',
    'nx-c=ü; Path=/',
  ]
  broker.answer('GET /auth/connect/ticket', {
    status: 303,
    headers: {
      location: `${broker.url}/not-followed?a=%20b`,
      'set-cookie': cookies.map((cookie) => Buffer.from(cookie).toString('latin1')),
      'content-security-policy': "default-src 'none'; form-action 'self' https:",
      'cache-control': 'no-store',
      'referrer-policy': 'no-referrer',
      'x-nexus-identity': 'inside',
      'x-own': 'hop',
      connection: 'x-own',
      'keep-alive': 'timeout=1',
    },
  })

  const answer = await send(gateway, { target: '/auth/connect/ticket' })

  expect(answer.status).toBe(303)
  expect(answer.headers.location).toBe(`${broker.url}/not-followed?a=%20b`)
  expect(answer.headers['set-cookie']).toEqual(cookies.map((cookie) => Buffer.from(cookie).toString('latin1')))
  expect(answer.headers).toMatchObject({
    'content-security-policy': "default-src 'none'; form-action 'self' https:",
    'cache-control': 'no-store',
    'referrer-policy': 'no-referrer',
    'x-content-type-options': 'nosniff',
    'content-length': '0',
  })
  for (const name of ['x-nexus-identity', 'x-own', 'content-type'])
    expect(answer.headers, name).not.toHaveProperty(name)
  expect(broker.requests).toHaveLength(1)
})

test.each([304, 204, 410, 503])('a %i of the Broker passes as it is', async (status) => {
  await using broker = await startScriptedBroker()
  await using gateway = await startGateway(broker)
  const isEmpty = status < 400
  broker.answer('GET /auth/assets/page.css', {
    status,
    headers: { etag: '"1"' },
    ...(isEmpty ? {} : { body: '<p>gone</p>' }),
  })

  const answer = await send(gateway, { target: '/auth/assets/page.css', headers: { 'if-none-match': '"1"' } })

  expect(answer).toMatchObject({ status, text: isEmpty ? '' : '<p>gone</p>', headers: { etag: '"1"' } })
})

test('[C5] forms up to 64 KiB pass, larger ones and other types get a page', async () => {
  await using broker = await startScriptedBroker()
  await using gateway = await startGateway(broker)
  broker.answer('POST /auth/connect/ticket', { body: 'passed' })
  const post = (body: string, type = form['content-type']) =>
    send(gateway, { method: 'POST', target: '/auth/connect/ticket', headers: { 'content-type': type }, body })

  expect((await post(`a=${'x'.repeat(65_534)}`)).text).toBe('passed')
  for (const [answer, status] of [
    [await post(`a=${'x'.repeat(65_535)}`), 413],
    [await post('{}', 'application/json'), 415],
    [await post('a=b', 'multipart/form-data; boundary=x'), 415],
    [await post('a=b&a=c'), 400],
  ] as const) {
    expect(answer).toMatchObject({ status, text: expect.stringMatching(/^<!doctype html>/) })
  }
  expect(broker.requests).toHaveLength(1)
})

test('a Broker that is away leaves a person with a page that says to try again', async () => {
  await using broker = await startScriptedBroker()
  await using gateway = await startGateway(broker)
  broker.answer('GET /auth/connect/ticket', (response) => void response.socket?.destroy())

  const answer = await send(gateway, { target: '/auth/connect/ticket' })

  expect(answer).toMatchObject({
    status: 502,
    headers: { 'retry-after': '2', 'content-type': 'text/html; charset=utf-8' },
  })
  expect(answer.text).toContain('Try again later')
})

test('a form is never sent twice', async () => {
  await using broker = await startScriptedBroker()
  await using gateway = await startGateway(broker)
  broker.answer('POST /auth/callback', (response) => void response.socket?.destroy())

  await send(gateway, { method: 'POST', target: '/auth/callback', headers: form, body: `state=${makeState(gateway)}` })

  expect(broker.requests).toHaveLength(1)
})
