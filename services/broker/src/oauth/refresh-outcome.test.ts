import { expect, test } from 'vitest'
import { ProviderError } from './provider-errors.ts'
import { classifyRefreshError } from './refresh-outcome.ts'

const rejected = (oauthError: string, status = 400) => new ProviderError('rejected', 'no', { oauthError, status })

test('invalid_grant ends the grant, whatever the status that it came with', () => {
  for (const status of [200, 400, 401, 403]) {
    expect(classifyRefreshError(rejected('invalid_grant', status), [], true)).toEqual({
      kind: 'grant_ended',
      error: 'invalid_grant',
    })
  }
})

test("the profile's fatal codes end the grant, and only for that profile", () => {
  const error = rejected('bad_refresh_token', 200)
  expect(classifyRefreshError(error, ['bad_refresh_token'], true)).toEqual({
    kind: 'grant_ended',
    error: 'bad_refresh_token',
  })
  expect(classifyRefreshError(error, [], true)).toMatchObject({ kind: 'transient', reason: 'bad_refresh_token' })
})

test.each(['invalid_client', 'unauthorized_client'])('%s blames the profile', (code) => {
  expect(classifyRefreshError(rejected(code, 401), [], true)).toEqual({ kind: 'client_refused', error: code })
})

test.each([
  ['another OAuth error', rejected('temporarily_unavailable'), 'temporarily_unavailable'],
  ['invalid_scope', rejected('invalid_scope'), 'invalid_scope'],
  ['a refusal without a code', new ProviderError('rejected', 'no', { status: 403 }), 'http_403'],
  ['a 503', new ProviderError('unavailable', 'no', { status: 503 }), 'http_503'],
  [
    'invalid_grant of a server that fails',
    new ProviderError('unavailable', 'no', { status: 500, oauthError: 'invalid_grant' }),
    'invalid_grant',
  ],
  ['the network', new ProviderError('unavailable', 'no'), 'unavailable'],
  ['a malformed answer', new ProviderError('invalid_answer', 'no'), 'invalid_answer'],
  ['an ID token that does not verify', new ProviderError('id_token', 'no'), 'id_token'],
  ['a forbidden address', new ProviderError('address', 'no'), 'address'],
])('%s may pass', (_, error, reason) => {
  expect(classifyRefreshError(error, [], false)).toMatchObject({
    kind: 'transient',
    reason,
    retryAfterSeconds: undefined,
    isProviderAway: error.kind !== 'rejected' && error.kind !== 'id_token',
  })
})

test('Retry-After is handed on', () => {
  const error = new ProviderError('unavailable', 'no', { status: 429, retryAfterSeconds: 30 })
  expect(classifyRefreshError(error, [], true)).toMatchObject({ kind: 'transient', retryAfterSeconds: 30 })
})

test.each([
  ['silence', new ProviderError('unavailable', 'no'), true],
  ['a 500', new ProviderError('unavailable', 'no', { status: 500 }), true],
  ['a 503', new ProviderError('unavailable', 'no', { status: 503 }), true],
  ['a success that cannot be read', new ProviderError('invalid_answer', 'no'), true],
  ['a 429', new ProviderError('unavailable', 'no', { status: 429 }), false],
  ['a 408', new ProviderError('unavailable', 'no', { status: 408 }), false],
  ['a refusal', rejected('invalid_scope'), false],
  ['a redirect', new ProviderError('invalid_answer', 'no', { status: 302 }), false],
])('after %s the token may be spent, or not, and never where nothing was sent', (_, error, isOutcomeUnknown) => {
  expect(classifyRefreshError(error, [], true)).toMatchObject({ isOutcomeUnknown })
  expect(classifyRefreshError(error, [], false)).toMatchObject({ isOutcomeUnknown: false })
})
