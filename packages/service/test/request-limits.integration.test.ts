import { expect, test } from 'vitest'
import { z } from 'zod'
import { createMetrics, renderMetrics, type ZodApp } from '@nexus/service'
import { lastBody, openRaw, request } from './raw-http.ts'
import { startApp } from './test-app.ts'

const mebibyte = 1_048_576
const json = { 'content-type': 'application/json' }

function addEcho(app: ZodApp): void {
  app.post('/echo', { schema: { body: z.looseObject({}) } }, async ({ body }) => ({
    size: JSON.stringify(body).length,
  }))
  app.get('/echo', async ({ query }) => ({ query }))
}

const documentOf = (size: number): string => JSON.stringify({ a: 'x'.repeat(size - 8) })

test('[C5] a body of 1 MiB is taken, one byte more is refused before it is read', async () => {
  await using server = await startApp(addEcho)
  const post = (body: string) => fetch(`${server.url}/echo`, { method: 'POST', headers: json, body })
  expect((await post(documentOf(mebibyte))).status).toBe(200)

  using client = await openRaw(server.port)
  client.send(request('POST', '/echo', { ...json, 'content-length': String(mebibyte + 1) }, '{'))
  const received = await client.closed
  expect(received).toMatch(/^HTTP\/1\.1 413 /)
  expect(lastBody(received)).toMatchObject({ code: 'body_too_large' })
})

test('[C5] a chunked body that never says how long it is is cut off at 1 MiB', async () => {
  await using server = await startApp(addEcho)
  using client = await openRaw(server.port)
  client.send(request('POST', '/echo', { ...json, 'transfer-encoding': 'chunked' }))
  const chunk = `10000\r\n${'x'.repeat(65_536)}\r\n`
  for (let sent = 0; sent <= mebibyte; sent += 65_536) client.send(chunk)
  expect(await client.waitFor(/body_too_large/)).toMatch(/^HTTP\/1\.1 413 /)
})

test.each([
  ['nesting beyond 32 levels', `${'{"a":'.repeat(33)}1${'}'.repeat(33)}`],
  ['a mebibyte of open brackets', '['.repeat(mebibyte)],
  ['__proto__', '{"a":{"__proto__":{"admin":true}}}'],
  ['constructor', '{"constructor":{"prototype":{"admin":true}}}'],
  ['a wrong type', '["not","an","object"]'],
  ['half a document', '{"a":'],
])('[C5] %s is refused, and no prototype is touched', async (_what, body) => {
  await using server = await startApp(addEcho)
  const answer = await fetch(`${server.url}/echo`, { method: 'POST', headers: json, body })
  expect(answer.status).toBe(400)
  expect(await answer.json()).toMatchObject({ code: 'invalid_request' })
  expect(Reflect.get({}, 'admin')).toBeUndefined()
})

test.each(['a=1&a=2', 'a=1&%61=1', '__proto__=1', 'constructor=x'])(
  '[C5] the query ?%s is refused by name',
  async (query) => {
    await using server = await startApp(addEcho)
    const answer = await fetch(`${server.url}/echo?${query}`)
    expect(answer.status).toBe(400)
    expect(await answer.json()).toMatchObject({
      code: 'invalid_request',
      details: { fields: [{ field: expect.any(String) }] },
    })
  },
)

test('[C5] a faulty query is told only to callers who passed authentication', async () => {
  await using server = await startApp((app) => {
    app.addHook('onRequest', (_request, reply) => reply.code(401).send({ code: 'invalid_api_key' }))
    addEcho(app)
  })
  expect((await fetch(`${server.url}/echo?a=1&a=2`)).status).toBe(401)
})

test.each([
  ['two lengths that differ', 'content-length: 5\r\ncontent-length: 6\r\n\r\nhello'],
  ['a length and chunks', 'content-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n'],
  ['a header without a colon', 'nonsense\r\n\r\n'],
  ['a line break inside a header', 'x-a: b\r\n\tfolded: c\rx\r\n\r\n'],
])('[C5] %s: refused as no HTTP, connection closed', async (_what, rest) => {
  await using server = await startApp(addEcho)
  using client = await openRaw(server.port)
  client.send(`POST /echo HTTP/1.1\r\nhost: test\r\ncontent-type: application/json\r\n${rest}`)
  const received = await client.closed
  expect(received).toMatch(/^HTTP\/1\.1 400 /)
  expect(received).toContain('Cache-Control: no-store')
  expect(lastBody(received)).toMatchObject({ code: 'invalid_request', request_id: expect.any(String) })
})

test('[C6] headers beyond 16 KiB and endless URLs are refused', async () => {
  await using server = await startApp(addEcho)
  for (const text of [
    request('GET', '/echo', { 'x-long': 'x'.repeat(20_000) }),
    request('GET', `/${'x'.repeat(20_000)}`),
  ]) {
    using client = await openRaw(server.port)
    client.send(text)
    const received = await client.closed
    expect(received).toMatch(/^HTTP\/1\.1 431 /)
    expect(lastBody(received)).toMatchObject({ code: 'invalid_request' })
  }
})

test('[C6] garbage pipelined behind a good request ends the connection, not the server', async () => {
  await using server = await startApp(addEcho)
  using client = await openRaw(server.port)
  client.send(`${request('GET', '/echo')}${'\x00\xff garbage \r\n\r\n'.repeat(100)}`)
  const received = await client.closed
  expect(received).toMatch(/^HTTP\/1\.1 (?:200|400) /)
  expect((await fetch(`${server.url}/echo`)).status).toBe(200)
})

test('[C6] a client that goes away in the middle of its body leaves the server well', async () => {
  await using server = await startApp(addEcho)
  const client = await openRaw(server.port)
  client.send(request('POST', '/echo', { ...json, 'content-length': '100' }, '{"a":'))
  // the answer to a second client shows that the first request was taken up
  expect((await fetch(`${server.url}/echo`)).status).toBe(200)
  client[Symbol.dispose]()
  await client.closed
  await server.logs.waitFor((line) => line['msg'] === 'client went away before the answer')
  expect((await fetch(`${server.url}/echo`)).status).toBe(200)
  expect(server.logs.lines().filter((line) => line['level'] === 'error')).toEqual([])
})

test('[L3] methods that nobody routes are one label, and a plain 404', async () => {
  const metrics = createMetrics('test')
  await using server = await startApp(addEcho, { metrics })
  for (const method of ['PROPFIND', 'MKCOL', 'TRACE', 'QUERY', 'M-SEARCH']) {
    using client = await openRaw(server.port)
    client.send(request(method, '/echo', { connection: 'close', 'content-type': 'application/json' }))
    expect(lastBody(await client.closed)).toMatchObject({ code: 'route_not_found' })
  }
  const { text } = await renderMetrics(metrics)
  expect(text.match(/nexus_http_requests_total\{.*/g)).toEqual([
    'nexus_http_requests_total{route="unmatched",method="OTHER",status_class="4xx",service="test"} 5',
  ])
  expect(server.logs.lines().filter((line) => line['level'] === 'warn')).toEqual([])
})
