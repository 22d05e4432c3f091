import { createHmac } from 'node:crypto'
import { type Credential, startApiServer } from '@nexus/testing'
import { describe, expect, test } from 'vitest'
import { applyStrategy, type CredentialFields, type Strategy } from './apply-strategy.ts'

type Applied = readonly [
  what: string,
  strategy: Strategy,
  fields: CredentialFields,
  accepted: Credential,
  init?: RequestInit,
]

const post = (body: NonNullable<RequestInit['body']>): RequestInit => ({ method: 'POST', body })

const applied: readonly Applied[] = [
  [
    'oauth2',
    { type: 'oauth2' },
    { access_token: 'at', token_type: 'bearer' },
    { kind: 'header', name: 'Authorization', value: 'Bearer at' },
  ],
  [
    'header, by its defaults',
    { type: 'header' },
    { api_key: 'k' },
    { kind: 'header', name: 'Authorization', value: 'k' },
  ],
  [
    'header, with everything said',
    { type: 'header', config: { header_name: 'X-Token', value_prefix: 'Token ', credential_field: 'token' } },
    { token: 'k', api_key: 'another' },
    { kind: 'header', name: 'x-token', value: 'Token k' },
  ],
  [
    'header, with a number',
    { type: 'header', config: { header_name: 'X-Account', credential_field: 'account' } },
    { account: 42 },
    { kind: 'header', name: 'x-account', value: '42' },
  ],
  [
    'header, in place of one that is there',
    { type: 'header', config: { value_prefix: 'Bearer ' } },
    { api_key: 'k' },
    { kind: 'header', name: 'authorization', value: 'Bearer k' },
    { headers: { authorization: 'Bearer undefined' } },
  ],
  [
    'api_key',
    { type: 'api_key', config: { header_name: 'X-API-Key' } },
    { api_key: 'k' },
    { kind: 'header', name: 'x-api-key', value: 'k' },
  ],
  [
    'query_param',
    { type: 'query_param', config: { param_name: 'key' } },
    { api_key: 'a b+c&d=é' },
    { kind: 'query', name: 'key', value: 'a b+c&d=é' },
  ],
  [
    'query_param, on a POST',
    { type: 'query_param', config: { param_name: 'api key', credential_field: 'secret' } },
    { secret: 'k' },
    { kind: 'query', name: 'api key', value: 'k' },
    post('kept'),
  ],
  [
    'basic_auth, in UTF-8',
    { type: 'basic_auth' },
    { username: 'jürgen', password: 'pä:ss€' },
    { kind: 'basic', username: 'jürgen', password: 'pä:ss€' },
  ],
  [
    'basic_auth, with a key for a user name',
    { type: 'basic_auth', config: { username_field: 'api_key' } },
    { api_key: 'sk_test' },
    { kind: 'basic', username: 'sk_test', password: '' },
  ],
  [
    'basic_auth, with a token for a password',
    { type: 'basic_auth', config: { password_field: 'token' } },
    { token: 'pat' },
    { kind: 'basic', username: '', password: 'pat' },
  ],
  [
    'hmac_payload, by its defaults',
    { type: 'hmac_payload', config: { header_name: 'X-Signature' } },
    { secret: 'sé' },
    { kind: 'hmac', header: 'x-signature', secret: 'sé' },
    post('{"a": "ü"}'),
  ],
  [
    'hmac_payload, over bytes that are no text',
    {
      type: 'hmac_payload',
      config: { header_name: 'X-Sig', algorithm: 'sha512', encoding: 'base64', secret_field: 's' },
    },
    { s: 'k' },
    { kind: 'hmac', header: 'x-sig', secret: 'k', algorithm: 'sha512', encoding: 'base64' },
    post(new Uint8Array([0, 255, 192, 10])),
  ],
  [
    'hmac_payload, over nothing',
    { type: 'hmac_payload', config: { header_name: 'X-Sig', algorithm: 'sha1', encoding: 'base64url' } },
    { secret: 'k' },
    { kind: 'hmac', header: 'x-sig', secret: 'k', algorithm: 'sha1', encoding: 'base64url' },
  ],
  [
    'hmac_payload, over a form',
    { type: 'hmac_payload', config: { header_name: 'X-Sig', algorithm: 'sha384' } },
    { secret: 'k' },
    { kind: 'hmac', header: 'x-sig', secret: 'k', algorithm: 'sha384' },
    post(new URLSearchParams({ a: 'b c' })),
  ],
]

test.for(applied)('%s arrives as the API wants it', async ([, strategy, fields, accepted, init]) => {
  await using api = await startApiServer(accepted)
  const request = new Request(`${api.url}/path?x=1%2F2&y=a+b`, init)
  const response = await fetch(await applyStrategy(request, strategy, fields))
  expect(api.requests[0]?.fault).toBeUndefined()
  expect(response.status).toBe(200)
  // the rest of it is as it was
  expect(api.requests[0]?.target).toMatch(/^\/path\?x=1%2F2&y=a\+b/)
  expect(api.requests[0]?.body).toEqual(Buffer.from(await new Request('http://x', init).arrayBuffer()))
})

test('method, headers, content type and signal go over to the new request', async () => {
  const stop = new AbortController()
  const init = { method: 'PUT', body: new URLSearchParams({ a: 'b' }), headers: { 'x-mine': '1' }, signal: stop.signal }
  for (const [, strategy, fields] of applied) {
    const request = await applyStrategy(new Request('https://api.example.com', init), strategy, fields)
    expect(request.method).toBe('PUT')
    expect(request.headers.get('x-mine')).toBe('1')
    expect(request.headers.get('content-type')).toMatch(/^application\/x-www-form-urlencoded/)
    expect(await request.clone().text()).toBe('a=b')
    expect(request.signal.aborted).toBe(false)
  }
  const pending = await Promise.all(
    applied.map(([, strategy, fields]) =>
      applyStrategy(new Request('https://api.example.com', init), strategy, fields),
    ),
  )
  stop.abort()
  expect(pending.map(({ signal }) => signal.aborted)).toEqual(pending.map(() => true))
})

test('a streamed body is signed by the bytes that are sent', async () => {
  await using api = await startApiServer({ kind: 'hmac', header: 'x-sig', secret: 'k' })
  const body = new Blob(['one, ', 'two']).stream()
  const request = new Request(`${api.url}/`, { method: 'POST', body, duplex: 'half' })
  const signed = await applyStrategy(
    request,
    { type: 'hmac_payload', config: { header_name: 'X-Sig' } },
    { secret: 'k' },
  )
  expect(signed.headers.get('x-sig')).toBe(createHmac('sha256', 'k').update('one, two').digest('hex'))
  expect((await fetch(signed)).status).toBe(200)
})

// stands in every value below, and in no message
const canary = 'canary-7f3a'

describe('what cannot be applied is refused by the name of the field, and without its value', () => {
  const header: Strategy = { type: 'header', config: { header_name: 'X-Key' } }
  const query: Strategy = { type: 'query_param', config: { param_name: 'key' } }
  const hmac: Strategy = { type: 'hmac_payload', config: { header_name: 'X-Sig' } }

  test.each<[string, string, Strategy, CredentialFields]>([
    ['no token', 'access_token', { type: 'oauth2' }, { api_key: canary }],
    ['another type of token', 'token_type', { type: 'oauth2' }, { access_token: canary, token_type: 'DPoP' }],
    ['a token with a line break', 'access_token', { type: 'oauth2' }, { access_token: `${canary}\n` }],
    ['no key', 'api_key', header, { other: canary }],
    ['an empty key', 'api_key', header, { api_key: '' }],
    ['a key that is null', 'api_key', header, { api_key: null }],
    ['a key that is an object', 'api_key', header, { api_key: { canary } }],
    [
      'a field that only the prototype has',
      'constructor',
      { type: 'header', config: { credential_field: 'constructor' } },
      {},
    ],
    ['a line break', 'api_key', header, { api_key: `${canary}\r\nX-Admin: 1` }],
    ['NUL', 'api_key', header, { api_key: `${canary}\0` }],
    ['a character beyond ASCII', 'api_key', header, { api_key: `${canary}é` }],
    ['a line break in the prefix', 'api_key', { type: 'header', config: { value_prefix: 'a\n' } }, { api_key: canary }],
    [
      'a header that frames the message',
      'header_name',
      { type: 'header', config: { header_name: 'Host' } },
      { api_key: canary },
    ],
    ['a name that is none', 'header_name', { type: 'header', config: { header_name: 'a b' } }, { api_key: canary }],
    ['no value for the query', 'api_key', query, { other: canary }],
    [
      'a parameter that is there already',
      'present',
      { type: 'query_param', config: { param_name: 'present' } },
      { api_key: canary },
    ],
    ['no user and no password', 'password', { type: 'basic_auth' }, { other: canary }],
    ['a colon in the user name', 'username', { type: 'basic_auth' }, { username: `${canary}:`, password: 'p' }],
    ['a line break in the password', 'password', { type: 'basic_auth' }, { username: 'u', password: `${canary}\n` }],
    ['no secret', 'secret', hmac, { other: canary }],
    ['an unknown algorithm', 'algorithm', wrong({ ...hmac.config, algorithm: 'md5' }), { secret: canary }],
    ['an unknown encoding', 'encoding', wrong({ ...hmac.config, encoding: 'binary' }), { secret: canary }],
    ['no header for the signature', 'header_name', wrong({}), { secret: canary }],
  ])('%s', async (_, field, strategy, fields) => {
    const request = new Request(`https://api.example.com/?present=${canary}`)
    const error: unknown = await applyStrategy(request, strategy, fields).catch((reason: unknown) => reason)
    expect(error).toMatchObject({ name: 'NexusError', code: 'strategy_not_applicable', details: { field } })
    expect((error as Error).message).toContain(`${field}: `)
    expect(`${String(error)} ${JSON.stringify(error)} ${(error as Error).stack}`).not.toContain(canary)
    expect((error as Error).cause).toBeUndefined()
  })

  test('a strategy that this version does not know', async () => {
    const strategy = JSON.parse('{"type": "mtls"}') as Strategy
    await expect(applyStrategy(new Request('https://a.example'), strategy, {})).rejects.toMatchObject({
      code: 'strategy_not_applicable',
      message: expect.stringContaining('mtls') as string,
    })
  })
})

/** What a profile may say that no type allows. */
function wrong(config: Readonly<Record<string, string>>): Strategy {
  return JSON.parse(JSON.stringify({ type: 'hmac_payload', config })) as Strategy
}
