import { createLogger } from '@nexus/service'
import { type CapturedLogs, captureLogs } from '@nexus/testing'
import { expect, test } from 'vitest'
import { makeStaticProvider } from '../../test/make-static-provider.ts'
import { openFetch, resolveTo, startPeer } from '../../test/outbound-peer.ts'
import type { OutboundFetch } from './outbound-fetch.ts'
import { createTrial } from './try-credentials.ts'

const secret = 'canary-typed-secret'

function startTrial(fetch: OutboundFetch = openFetch()) {
  const logs: CapturedLogs = captureLogs()
  const logger = createLogger({ level: 'trace', service: 'test', destination: logs })
  return { attempt: createTrial({ fetch, logger }), logs }
}

/** A profile whose credentials are tried at `url`. */
function triedAt(url: string, change: Parameters<typeof makeStaticProvider>[0] = {}) {
  return makeStaticProvider({ apiBaseUrl: `${url}/v1`, userInfoEndpoint: `${url}/v1/me`, ...change })
}

const strategies = [
  [
    'header',
    { type: 'header', config: { header_name: 'X-Key', value_prefix: 'Key ', credential_field: 'api_key' } },
    { api_key: secret },
    { headers: { 'x-key': `Key ${secret}` }, url: '/v1/me' },
  ],
  [
    'query_param',
    { type: 'query_param', config: { param_name: 'key', credential_field: 'api_key' } },
    { api_key: secret },
    { headers: {}, url: `/v1/me?key=${secret}` },
  ],
  [
    'basic_auth',
    { type: 'basic_auth', config: { username_field: 'username', password_field: 'password' } },
    { username: 'ada', password: secret },
    { headers: { authorization: `Basic ${Buffer.from(`ada:${secret}`).toString('base64')}` }, url: '/v1/me' },
  ],
  [
    'hmac_payload',
    {
      type: 'hmac_payload',
      config: { algorithm: 'sha256', header_name: 'X-Signature', encoding: 'hex', secret_field: 'secret' },
    },
    { secret },
    { headers: { 'x-signature': expect.stringMatching(/^[\da-f]{64}$/) }, url: '/v1/me' },
  ],
  [
    'aws_sigv4',
    { type: 'aws_sigv4', config: { service: 'sts', region: 'us-east-1' } },
    { access_key: 'AKIDEXAMPLE', secret_key: secret },
    {
      headers: {
        authorization: expect.stringMatching(/^AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE\/\d+\/us-east-1\/sts/),
      },
      url: '/v1/me',
    },
  ],
] as const

test.for(strategies)('credentials of %s are tried as agents would use them', async ([, strategy, values, expected]) => {
  const peer = await startPeer()
  const { attempt } = startTrial()
  expect(await attempt(triedAt(peer.url, { strategy }), values)).toBe('accepted')
  expect(peer.requests).toEqual([{ url: expected.url, headers: expect.objectContaining(expected.headers) }])
})

test.for([
  [200, 'accepted'],
  [204, 'accepted'],
  [401, 'refused'],
  [403, 'refused'],
  [400, 'unknown'],
  [404, 'unknown'],
  [429, 'unknown'],
  [500, 'unknown'],
  [503, 'unknown'],
] as const)(
  '[P5] an answer of %i means %s, and neither it nor what was typed is written down',
  async ([status, trial]) => {
    const peer = await startPeer((request, response) =>
      response
        .writeHead(status, { 'x-provider': 'text-of-the-provider' })
        .end(`echo ${String(request.headers['x-key'])}`),
    )
    const { attempt, logs } = startTrial()
    expect(await attempt(triedAt(peer.url), { api_key: secret })).toBe(trial)
    expect(peer.requests).toHaveLength(1)
    expect(logs.text().includes(`"status":${status}`), 'the operator is told why nobody knows').toBe(
      trial === 'unknown',
    )
    for (const text of [secret, 'text-of-the-provider', 'echo']) expect(logs.text()).not.toContain(text)
  },
)

test.for([301, 302, 303, 307, 308])('[P4] a %i is not followed: no key goes where it leads', async (status) => {
  const elsewhere = await startPeer()
  const peer = await startPeer((_, response) => response.writeHead(status, { location: elsewhere.url }).end())
  expect(await startTrial().attempt(triedAt(peer.url), { api_key: secret })).toBe('unknown')
  expect(elsewhere.requests).toEqual([])
})

test('[P4] an endpoint inside our network gets no credential, by name or by address', async () => {
  const peer = await startPeer()
  const closed = startTrial(openFetch({ allowPrivateNetworks: false, resolve: resolveTo('169.254.169.254') }))
  for (const url of [peer.url, 'https://metadata.example', 'https://[::ffff:127.0.0.1]', 'https://10.0.0.1']) {
    expect.soft(await closed.attempt(triedAt(url), { api_key: secret }), url).toBe('unknown')
  }
  expect(peer.requests).toEqual([])
  expect(closed.logs.text()).toContain('"reason":"address"')
})

test('an API that cannot be reached, or breaks off, says neither yes nor no', async () => {
  const peer = await startPeer((request) => request.socket.destroy())
  const { attempt, logs } = startTrial()
  expect(await attempt(triedAt(peer.url), { api_key: secret })).toBe('unknown')
  expect(await attempt(triedAt('http://127.0.0.1:9'), { api_key: secret })).toBe('unknown')
  expect(logs.text()).toContain('"reason":"unavailable"')
  expect(logs.text()).not.toContain(secret)
})

test('an answer that never ends is not waited for: its status says it all', async () => {
  const peer = await startPeer((_, response) => void response.writeHead(401).write('x'))
  expect(await startTrial().attempt(triedAt(peer.url), { api_key: secret })).toBe('refused')
})

test('nothing is sent to another origin than the API’s, and with verify off nothing at all', async () => {
  const [api, other] = [await startPeer(), await startPeer()]
  const { attempt } = startTrial()
  const astray = triedAt(api.url, { userInfoEndpoint: `${other.url}/me` })
  expect(await attempt(astray, { api_key: secret })).toBe('unknown')
  expect(await attempt(triedAt(api.url, { verify: 'off' }), { api_key: secret })).toBe('unknown')
  expect([...api.requests, ...other.requests]).toEqual([])
})

test('what cannot become part of a request is refused, unsent and unquoted: no agent could use it', async () => {
  const peer = await startPeer()
  const { attempt, logs } = startTrial()
  for (const api_key of [`${secret}\r\nx-injected: 1`, `${secret}\0`, `${secret} \u{1f511}`]) {
    expect.soft(await attempt(triedAt(peer.url), { api_key }), JSON.stringify(api_key)).toBe('refused')
  }
  expect(await attempt(triedAt(peer.url), {})).toBe('refused')
  expect(peer.requests).toEqual([])
  expect(logs.text()).not.toContain(secret)
})
