import { expect, test } from 'vitest'
import { readMargin, refreshAfter, refreshLead, retryDelay } from './schedule.ts'

const calm = { leadSeconds: 300, random: () => 0 }

test.each([
  ['an hour', 3_600, 360],
  ['ten minutes: half its life at most', 600, 300],
  ['four minutes', 240, 120],
  ['a day', 86_400, 8_640],
  ['sixty days: a day at most', 60 * 86_400, 86_400],
])('the lead of a token that lives %s', (_, lifetime, lead) => {
  expect(refreshLead(lifetime, calm)).toBe(lead)
})

test('a token that lives under two minutes is never refreshed ahead', () => {
  expect(refreshLead(119, calm)).toBeUndefined()
})

test('jitter only makes it earlier, by a tenth of the lead at most', () => {
  expect(refreshLead(3_600, { leadSeconds: 300, random: () => 0.999 })).toBeCloseTo(396, 0)
})

test.each([
  ['an hour: ahead of its end', 3_600, true, 3_240],
  ['an hour, without a refresh token: at its end, to say so', 3_600, false, 3_600],
  ['half a minute: by reads alone', 30, true, undefined],
  ['half a minute, without a refresh token', 30, false, 30],
  ['for ever, as far as anybody said', undefined, true, undefined],
  ['for ever, without a refresh token', undefined, false, undefined],
])('when the refresher looks at a token that lives %s', (_, lifetime, hasRefreshToken, after) => {
  expect(refreshAfter(lifetime, hasRefreshToken, calm)).toBe(after)
})

test('no token is due sooner than after nine twentieths of its life', () => {
  for (const lifetime of [120, 300, 3_600, 86_400, 90 * 86_400]) {
    for (const leadSeconds of [1, 300, 86_400]) {
      expect(refreshAfter(lifetime, true, { leadSeconds, random: () => 0.999 })).toBeGreaterThanOrEqual(0.45 * lifetime)
    }
  }
})

test('reads refresh in the last minute, or the last quarter of a short life', () => {
  expect(readMargin(3_600)).toBe(60)
  expect(readMargin(40)).toBe(10)
})

test('backoff doubles, stays under six hours and never undercuts Retry-After', () => {
  expect(retryDelay(1, undefined, () => 1)).toBe(5)
  expect(retryDelay(3, undefined, () => 1)).toBe(20)
  expect(retryDelay(1_000, undefined, () => 1)).toBe(21_600)
  expect(retryDelay(1, 90, () => 1)).toBe(90)
  expect(retryDelay(1, undefined, () => 0)).toBe(2.5)
  expect(retryDelay(1, 1e9, () => 1)).toBe(86_400)
})
