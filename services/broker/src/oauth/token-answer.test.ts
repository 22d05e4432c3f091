import { inspect } from 'node:util'
import { expect, test } from 'vitest'
import { cleanErrorCode, readTokenAnswer, toPlainTokenResponse } from './token-answer.ts'

const rules = { scopeSeparator: ' ', keepTokenFields: [] as readonly string[], nowMs: Date.UTC(2026, 10, 22) }
const json = (body: unknown, init: ResponseInit = {}) => Response.json(body, init)
const text = (body: string, type: string, status = 200) =>
  new Response(body, { status, headers: { 'content-type': type } })
const bearer = { access_token: 'at-1', token_type: 'Bearer' }
const read = (fields: object, over: object = {}) =>
  readTokenAnswer(json({ ...bearer, ...fields }), { ...rules, ...over })

test('reads the answer of RFC 6749 §5.1', async () => {
  const fields = { expires_in: 3600, refresh_token: 'rt-1', scope: 'read write', id_token: 'a.b.c' }
  expect(await read(fields)).toEqual({
    accessToken: 'at-1',
    tokenType: 'Bearer',
    refreshToken: 'rt-1',
    idToken: 'a.b.c',
    scopes: ['read', 'write'],
    expiresInSeconds: 3600,
    extra: {},
  })
})

test('what is left out is undefined, and null is as good as left out', async () => {
  const nothing = { refreshToken: undefined, idToken: undefined, scopes: undefined, expiresInSeconds: undefined }
  expect(await read({})).toMatchObject(nothing)
  expect(await read({ refresh_token: null, id_token: null, scope: null, expires_in: null })).toMatchObject(nothing)
})

test.each([
  ['form-encoded', 'application/x-www-form-urlencoded; charset=utf-8'],
  ['as plain text', 'text/plain'],
  ['without a content type', ''],
])('[P3] reads what GitHub answers %s', async (_, type) => {
  const answer = text('access_token=gho_x%2B&scope=repo%2Cgist&token_type=bearer&expires_in=28800&refresh_token=', type)
  expect(await readTokenAnswer(answer, rules)).toMatchObject({
    accessToken: 'gho_x+',
    tokenType: 'Bearer',
    scopes: ['repo', 'gist'],
    expiresInSeconds: 28_800,
    refreshToken: undefined,
  })
})

test('[P3] JSON is JSON under whatever content type', async () => {
  for (const type of ['text/plain', 'text/html', 'application/x-www-form-urlencoded', 'application/jwt', '']) {
    expect(await readTokenAnswer(text(JSON.stringify(bearer), type), rules), type).toMatchObject({
      accessToken: 'at-1',
    })
  }
})

test('[P3] an empty scope means none, as opposed to none stated', async () => {
  expect(await readTokenAnswer(text('access_token=a&token_type=bearer&scope=', 'text/plain'), rules)).toMatchObject({
    scopes: [],
  })
  expect(await read({ scope: '' })).toMatchObject({ scopes: [] })
})

test.each([
  [200, { error: 'bad_verification_code', ...bearer }],
  [201, { error: 'bad_verification_code' }],
  [400, { error: 'bad_verification_code', error_description: 'long' }],
  [401, { error: 'bad_verification_code' }],
])('[P3] an error with status %i is the failure that it names', async (status, body) => {
  await expect(readTokenAnswer(json(body, { status }), rules)).rejects.toMatchObject({
    kind: 'rejected',
    oauthError: 'bad_verification_code',
    status,
  })
})

test('[P3] a form-encoded error with status 200 is a failure too', async () => {
  const answer = text('error=bad_verification_code&error_description=x', 'application/x-www-form-urlencoded')
  await expect(readTokenAnswer(answer, rules)).rejects.toMatchObject({
    kind: 'rejected',
    oauthError: 'bad_verification_code',
  })
})

test.each([
  ['no access_token', { token_type: 'bearer' }],
  ['an empty access_token', { access_token: '', token_type: 'bearer' }],
  ['an access_token that is no text', { access_token: 7, token_type: 'bearer' }],
  ['a line break in access_token', { access_token: 'a\r\nHost: x', token_type: 'bearer' }],
  ['an endless access_token', { access_token: 'a'.repeat(40_000), token_type: 'bearer' }],
  ['no token_type', { access_token: 'a' }],
  ['a token_type of Slack', { access_token: 'a', token_type: 'bot' }],
  ['token_type mac', { access_token: 'a', token_type: 'mac' }],
  ['token_type DPoP', { access_token: 'a', token_type: 'DPoP' }],
  ['a refresh_token that is no text', { ...bearer, refresh_token: { a: 1 } }],
  ['an empty refresh_token', { ...bearer, refresh_token: '' }],
  ['a scope that is no text', { ...bearer, scope: { read: true } }],
  ['a NUL in a scope', { ...bearer, scope: 'read\u0000' }],
  ['endless scopes', { ...bearer, scope: Array.from({ length: 4_000 }, (_, n) => `scope-${n}`) }],
  ['an error that is an object', { ...bearer, error: { message: 'no' } }],
  ['an error that is a flag', { ...bearer, error: true }],
])('[P3] refuses %s', async (_, body) => {
  await expect(readTokenAnswer(json(body), rules)).rejects.toMatchObject({ kind: 'invalid_answer' })
})

test.each([
  ['a page', '<html>a=b</html>', 'text/html'],
  ['a list', '[{"access_token":"a"}]', 'application/json'],
  ['broken JSON', '{"access_token":"a"', 'application/json'],
  ['nothing', '', 'application/json'],
])('[P3] refuses %s', async (_, body, type) => {
  await expect(readTokenAnswer(text(body, type), rules)).rejects.toMatchObject({ kind: 'invalid_answer' })
})

test('[P3] only 200 and 201 are success', async () => {
  await expect(readTokenAnswer(json(bearer, { status: 202 }), rules)).rejects.toMatchObject({ kind: 'invalid_answer' })
  expect(await readTokenAnswer(json(bearer, { status: 201 }), rules)).toMatchObject({ accessToken: 'at-1' })
})

test.each([
  [3600, 3600],
  ['3600', 3600],
  [' 3600 ', 3600],
  [3600.7, 3600],
  ['3600.7', 3600],
  [0, 0],
])('[P3] expires_in %j is %i seconds', async (value, seconds) => {
  expect(await read({ expires_in: value })).toMatchObject({ expiresInSeconds: seconds })
})

test.each(['3600abc', 'abc', '', '-5', -5, 1e300, '1e9', '0x10', 'Infinity', 315_360_001, true, [3600], {}])(
  '[P3] expires_in %j is nonsense',
  async (value) => {
    await expect(read({ expires_in: value })).rejects.toMatchObject({ kind: 'invalid_answer' })
  },
)

test('scopes are split by the profile, by spaces and by commas', async () => {
  const split = async (scope: unknown, scopeSeparator = ' ') => (await read({ scope }, { scopeSeparator })).scopes
  expect(await split('a b  c')).toEqual(['a', 'b', 'c'])
  expect(await split('a,b, c', ',')).toEqual(['a', 'b', 'c'])
  expect(await split('a b', ',')).toEqual(['a', 'b'])
  expect(await split('a|b', '|')).toEqual(['a', 'b'])
  expect(await split(['a', 'b c', 'a'])).toEqual(['a', 'b', 'c'])
})

test('keeps the fields that the profile names, and no others', async () => {
  const fields = { instance_url: 'https://na1.test', realmId: 7, team: { id: 'T1', name: 'Eng' }, other: 'x' }
  const keepTokenFields = ['instance_url', 'realmId', 'team', 'absent', 'toString', '__proto__']
  const { extra } = await read(fields, { keepTokenFields })
  expect(extra).toEqual({ instance_url: 'https://na1.test', realmId: 7, team: { id: 'T1', name: 'Eng' } })
})

test('[P5] keeps nothing that is named like a token or secret, or contains one', async () => {
  const fields = {
    refresh_token: 'rt-secret-value',
    client_secret: 'x',
    refreshToken: 'x',
    apiKey: 'x',
    authed_user: { id: 'U1', access_token: 'xoxp', nested: [{ refresh_token: 'y', ok: 1 }] },
    copy: 'before rt-secret-value after',
    long: 'x'.repeat(5_000),
  }
  const { extra } = await read(fields, { keepTokenFields: Object.keys(fields) })
  expect(extra).toEqual({ authed_user: { id: 'U1', nested: [{ ok: 1 }] } })
})

test.each([408, 429, 500, 502, 503, 504])('status %i is a provider that cannot answer now', async (status) => {
  const headers = { 'retry-after': '7' }
  await expect(readTokenAnswer(json({ error: 'invalid_grant' }, { status, headers }), rules)).rejects.toMatchObject({
    kind: 'unavailable',
    status,
    retryAfterSeconds: 7,
  })
})

test('a refusal without a code is one all the same', async () => {
  await expect(readTokenAnswer(text('no', 'text/html', 403), rules)).rejects.toMatchObject({
    kind: 'rejected',
    status: 403,
    oauthError: undefined,
  })
})

test('[P5] an error code is cut and cleaned', () => {
  expect(cleanErrorCode('invalid_grant')).toBe('invalid_grant')
  expect(cleanErrorCode('a"b\\c\nd\u0000é')).toBe('abcd')
  expect(cleanErrorCode('x'.repeat(500))).toHaveLength(64)
  for (const value of ['', '\n', 7, null, undefined, { error: 'x' }]) expect(cleanErrorCode(value)).toBeUndefined()
})

test('[P5] no failure carries the answer', async () => {
  const canary = 'CANARY-7f3a'
  const answers = [
    text(`{"access_token":"${canary}"`, 'application/json'),
    text(`<html>${canary}</html>`, 'text/html'),
    json({ access_token: canary, token_type: 'mac', refresh_token: canary }),
    json({ ...bearer, expires_in: canary, scope: canary }),
    json({ error: 'invalid_grant', error_description: canary, [canary]: canary }, { status: 400 }),
    text(canary, 'text/plain', 503),
  ]
  for (const answer of answers) {
    const error: unknown = await readTokenAnswer(answer, rules).catch((reason: unknown) => reason)
    expect(error).toBeInstanceOf(Error)
    expect(inspect(error, { depth: null, showHidden: true })).not.toContain(canary)
  }
})

test('[P1] the plain form of an answer has no ID token for anybody else to judge', async () => {
  const answer = await read({ id_token: 'a.b.c', refresh_token: 'rt-1', expires_in: '60' })
  expect(await toPlainTokenResponse(answer).json()).toEqual({
    access_token: 'at-1',
    token_type: 'Bearer',
    refresh_token: 'rt-1',
    expires_in: 60,
  })
})
