import { expect, test } from 'vitest'
import { send, sendBytes, startGateway } from './harness.ts'
import { startScriptedBroker } from './scripted-broker.ts'

/** Spellings that some router, somewhere, takes for one of the forwarded routes or for an inner one. */
const oddTargets = [
  '//auth/connect/ticket',
  '/auth//connect/ticket',
  '/auth/connect//ticket',
  '/auth/connect/ticket/',
  '/auth/connect/',
  '/auth/connect/../../providers',
  '/auth/connect/ticket/../../../providers',
  '/auth/../providers',
  '/auth/./callback',
  '/auth/callback/..',
  '/auth/callback/../consent-spec',
  '/auth/callback/%2e%2e/consent-spec',
  '/auth/callback/.%2e',
  '/auth/callback/..%2fconsent-spec',
  '/auth/callback%2f..%2fconsent-spec',
  '/auth/callback/google%2f..',
  '/auth/callback/Google',
  '/auth/callback/a/b',
  '/auth/c%61llback',
  '/%61uth/callback',
  '/auth%2fcallback',
  '/auth/callback;a=b',
  '/auth/callback#?code=c',
  '/auth/callback%00',
  '/auth/callback%0d%0aX-Api-Key:x',
  '/auth/callback\\..\\providers',
  '/AUTH/callback',
  '/auth/connect/ti%63ket',
  '/auth/connect/ticket%3fa=b',
  '/auth/connect/tick%65t%23',
  '/auth/connect/t%C3%A4',
  '/auth/connect/a.b',
  '/auth/assets/../providers',
  '/auth/assets/..%2f..%2fproviders',
  '/auth/assets/%2e%2e/%2e%2e/providers',
  '/auth/assets/..\\providers',
  '/auth/assets/',
  '/auth/assets//page.css',
  '/auth/assets/.env',
  '/auth/assets/a/.git/config',
  '/auth/assets/a%2fb.css',
  '/auth/assets/page.css/',
  '/auth/consent-spec',
  '/auth/capture-schema',
  '/auth/capture-credential',
  '/auth',
  '/auth/',
  '/providers',
  '/connections',
  '/audit',
  'http://127.0.0.1/auth/callback',
  'http://inner.example/auth/connect/ticket',
  'https://inner.example:8080/providers',
  '/auth/callback?a=\xff',
  '/auth/callback?code=c#state',
  '*',
]

test('no other spelling of a path is forwarded, nor any inner route', async () => {
  await using broker = await startScriptedBroker()
  await using gateway = await startGateway(broker)

  for (const target of oddTargets) {
    for (const method of ['GET', 'POST']) {
      const answer = await sendBytes(gateway, requestBytes(`${method} ${target} HTTP/1.1`, ['Content-Length: 0']))
      expect(answer, `${method} ${target}`).toMatch(/^HTTP\/1\.1 (400|404) /)
    }
  }
  expect(broker.requests).toEqual([])
})

const smuggled = 'GET /providers HTTP/1.1\r\nHost: g\r\nX-Api-Key: canary\r\n\r\n'
const post = 'POST /auth/connect/ticket HTTP/1.1'
const form = 'Content-Type: application/x-www-form-urlencoded'
const chunked = 'Transfer-Encoding: chunked'

const ambiguous: readonly [string, string][] = [
  ['both lengths', requestBytes(post, [form, 'Content-Length: 5', chunked], `0\r\n\r\n${smuggled}`)],
  [
    'both lengths, the other way round',
    requestBytes(post, [form, chunked, 'Content-Length: 5'], `0\r\n\r\n${smuggled}`),
  ],
  ['two lengths', requestBytes(post, [form, 'Content-Length: 0', `Content-Length: ${smuggled.length}`], smuggled)],
  ['a list of lengths', requestBytes(post, [form, `Content-Length: 0, ${smuggled.length}`], smuggled)],
  ['a negative length', requestBytes(post, [form, 'Content-Length: -1'], smuggled)],
  ['a length with a sign', requestBytes(post, [form, 'Content-Length: +5'], 'a=bcd')],
  ['a length in hexadecimal', requestBytes(post, [form, 'Content-Length: 0x5'], 'a=bcd')],
  ['an unknown coding', requestBytes(post, [form, 'Transfer-Encoding: xchunked'], `0\r\n\r\n${smuggled}`)],
  ['two codings', requestBytes(post, [form, 'Transfer-Encoding: chunked, identity'], `0\r\n\r\n${smuggled}`)],
  ['a space before the colon', requestBytes(post, [form, 'Transfer-Encoding : chunked'], `0\r\n\r\n${smuggled}`)],
  ['a folded header', requestBytes(post, [form, 'X-A: b\r\n Transfer-Encoding: chunked'], `0\r\n\r\n${smuggled}`)],
  ['a bare line feed', `POST /auth/callback HTTP/1.1\nHost: g\nContent-Length: 0\nConnection: close\n\n${smuggled}`],
  ['a chunk size that overflows', requestBytes(post, [form, chunked], `fffffffffffffffff\r\n${smuggled}`)],
  ['a chunk without its end', requestBytes(post, [form, chunked], `3\r\na=bXX0\r\n\r\n${smuggled}`)],
  ['a NUL in a header', requestBytes(post, [form, 'X-A: b\0c'], smuggled)],
  ['no Host', `GET /auth/callback HTTP/1.1\r\nConnection: close\r\n\r\n`],
]

test('a request that two readers would end at different places is not passed on', async () => {
  await using broker = await startScriptedBroker()
  await using gateway = await startGateway(broker)

  for (const [what, bytes] of ambiguous) {
    const answer = await sendBytes(gateway, bytes)
    expect(answer, what).toMatch(/^HTTP\/1\.1 400 /)
  }
  expect(broker.requests).toEqual([])
})

test('what follows a whole request is the next request of the Gateway, never of the Broker', async () => {
  await using broker = await startScriptedBroker()
  await using gateway = await startGateway(broker, { env: { REQUIRE_BEARER: 'true' } })
  broker.answer('POST /auth/connect/ticket', { body: 'passed' })
  const body = `a=${encodeURIComponent(smuggled)}`
  const first = requestBytes(post, [form, `Content-Length: ${body.length}`], body).replace('Connection: close\r\n', '')

  const answers = await sendBytes(gateway, first + requestBytes('GET /providers HTTP/1.1', []))

  expect(answers.match(/HTTP\/1\.1 \d+/g)).toEqual(['HTTP/1.1 200', 'HTTP/1.1 404'])
  expect(broker.requests.map(({ method, target }) => `${method} ${target}`)).toEqual(['POST /auth/connect/ticket'])
})

test('chunked forms arrive with a length', async () => {
  await using broker = await startScriptedBroker()
  await using gateway = await startGateway(broker)
  broker.answer('POST /auth/connect/ticket', { body: 'passed' })

  await sendBytes(
    gateway,
    requestBytes(post, [form, chunked], '3\r\na=b\r\n2;ext=1\r\n&c\r\n0\r\nX-Trailer: 1\r\n\r\n'),
  )

  expect(broker.requests[0]).toMatchObject({ body: 'a=b&c', headers: { 'content-length': '5' } })
  expect(broker.requests[0]?.headers).not.toHaveProperty('transfer-encoding')
})

test('an upgrade is not one here', async () => {
  await using broker = await startScriptedBroker()
  await using gateway = await startGateway(broker)
  broker.answer('GET /auth/connect/ticket', { body: 'passed' })
  const headers = { connection: 'Upgrade', upgrade: 'websocket', 'sec-websocket-key': 'x' }

  expect((await send(gateway, { target: '/auth/connect/ticket', headers })).text).toBe('passed')
  expect(broker.requests[0]?.headers).not.toHaveProperty('upgrade')
})

function requestBytes(line: string, headers: readonly string[], body = ''): string {
  return [line, 'Host: g', ...headers, 'Connection: close', '', body].join('\r\n')
}
