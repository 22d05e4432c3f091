import { expect, test } from 'vitest'
import { scrubText } from './scrub-text.ts'

const canary = 'Canary0123456789abcdef'

test.each([
  `Authorization: Bearer ${canary}`,
  `authorization: basic ${canary}==`,
  `GET /auth/callback?code=${canary}&state=x`,
  `GET /auth/callback?iss=a&state=${canary}`,
  `POST body grant_type=refresh_token&refresh_token=${canary}&client_id=x`,
  `client_secret=${canary}`,
  `"access_token=${canary}"`,
  `#id_token=${canary}`,
  `code_verifier=${canary}`,
  `api_key=${canary}`,
  `303 /auth/connect/${canary}?x=1`,
  `postgres://nexus:${canary}@db:5432/nexus`,
  `rediss://:${canary}@cache:6380`,
  `token eyJhbGciOiJSUzI1NiJ9.${canary}.${canary} was refused`,
])('[L1] what looks like a credential leaves a text: %s', (text) => {
  expect(scrubText(text)).not.toContain(canary)
  expect(scrubText(text)).toContain('[redacted]')
})

test('[L1] of an agent token only what people find it by stays', () => {
  const token = `sk-team-1_bot_0123abcd_${'Aa0-_'.repeat(9).slice(0, 43)}`
  expect(scrubText(`my-agent/1 ${token}`)).toBe('my-agent/1 sk-team-1_bot_0123abcd_[redacted]')
})

test.each([
  'connect ECONNREFUSED 10.0.0.1:5432',
  'error code ECONNRESET in state open',
  'GET /connections?limit=50&cursor=abc',
  'at file:///srv/nexus/packages/service/src/logger.ts:12:3',
  'https://issuer.example/.well-known/openid-configuration',
])('an ordinary text stays as it is: %s', (text) => {
  expect(scrubText(text)).toBe(text)
})

test('a line stays a line of JSON', () => {
  const line = JSON.stringify({ msg: `Bearer ${canary}`, url: `/x?code=${canary}`, quoted: `"state=${canary}"` })
  expect(JSON.parse(scrubText(line))).toEqual({
    msg: 'Bearer [redacted]',
    url: '/x?code=[redacted]',
    quoted: '"state=[redacted]"',
  })
})

test.each([
  'eyJ-',
  'eyJaaaaa.a.',
  'sk-',
  'a.',
  'Bearer ',
  ' token',
  '://',
  'a://:',
  'a://b:c',
  'a.a.a.a.a.a.a.a.a.a.a://',
  '?code=',
])('a long run of %j takes no time to speak of', (part) => {
  const started = performance.now()
  scrubText(part.repeat(20_000))
  expect(performance.now() - started).toBeLessThan(500)
})
