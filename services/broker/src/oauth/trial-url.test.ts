import { expect, test } from 'vitest'
import { findTrialUrl } from './trial-url.ts'

const profile = {
  apiBaseUrl: 'https://api.example.com/v1',
  userInfoEndpoint: 'https://api.example.com/v1/me?full=1',
  verify: 'best_effort',
} as const

test('credentials are tried at the endpoint that the profile names', () => {
  expect(findTrialUrl(profile)?.href).toBe('https://api.example.com/v1/me?full=1')
  expect(findTrialUrl({ ...profile, verify: 'required' })?.href).toBe('https://api.example.com/v1/me?full=1')
})

test('where nothing is to be tried, nowhere', () => {
  expect(findTrialUrl({ ...profile, verify: 'off' })).toBeUndefined()
  expect(findTrialUrl({ ...profile, userInfoEndpoint: undefined })).toBeUndefined()
  expect(findTrialUrl({ ...profile, apiBaseUrl: undefined })).toBeUndefined()
})

test.each([
  'https://api.example.com:8443/v1/me',
  'http://api.example.com/v1/me',
  'https://me.example.com/v1/me',
  'https://api.example.com.evil.example/v1/me',
  '/v1/me',
  '//evil.example/v1/me',
  '',
])('never at another origin than the API: %s', (userInfoEndpoint) => {
  expect(findTrialUrl({ ...profile, userInfoEndpoint })).toBeUndefined()
})
