import { expect, test } from 'vitest'
import { readMargin, refreshLead, retryDelay } from './schedule.ts'

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
