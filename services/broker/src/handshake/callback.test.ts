import { statusByCode } from '@nexus/contracts'
import { expect, test } from 'vitest'
import { callbackQuery, toReturnError } from './callback.ts'

test.each(['access_denied', 'invalid_scope', 'temporarily_unavailable', 'login_required', 'consent_required'])(
  '[H7] the registered error %s is told as it is',
  (error) => {
    expect(toReturnError(error)).toBe(error)
  },
)

test.each([
  '',
  'Access_Denied',
  ' access_denied',
  'access_denied&status=success',
  '<script>',
  'constructor',
  'user_denied',
])('[H7] %j is the text of a stranger', (error) => {
  expect(toReturnError(error)).toBe('provider_rejected')
})

test('[H7] a provider cannot speak for us: none of our own codes but those that OAuth registered too', () => {
  const passed = Object.keys(statusByCode).filter((code) => toReturnError(code) === code)
  expect(passed.toSorted()).toEqual(['invalid_request', 'provider_rejected'])
})

test('[C5] the parameters of a callback have bounds, and unknown ones are left alone', () => {
  expect(callbackQuery.safeParse({ state: 's', code: 'c'.repeat(8192), realmId: '1' }).data).toMatchObject({
    realmId: '1',
  })
  expect(callbackQuery.safeParse({ code: 'c'.repeat(8193) }).success).toBe(false)
  expect(callbackQuery.safeParse({ state: 's'.repeat(2049) }).success).toBe(false)
  expect(callbackQuery.safeParse({ error: 'e'.repeat(257) }).success).toBe(false)
})
