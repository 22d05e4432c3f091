import { expect, test } from 'vitest'
import { readRetryAfterSeconds } from './retry-after.ts'

const now = Date.UTC(2026, 10, 22, 10, 0, 0)
const read = (headers: Record<string, string>) => readRetryAfterSeconds(new Headers(headers), now)

test('seconds are taken as they are, up to a day', () => {
  expect(read({ 'retry-after': '0' })).toBe(0)
  expect(read({ 'retry-after': ' 120 ' })).toBe(120)
  expect(read({ 'retry-after': '999999999' })).toBe(86_400)
})

test('[R9] a date counts from the Date of the same answer, so that no clock has to be right', () => {
  const headers = { 'retry-after': 'Sun, 22 Nov 2026 03:00:30 GMT', date: 'Sun, 22 Nov 2026 03:00:00 GMT' }
  expect(read(headers)).toBe(30)
})

test('a date counts from now where the answer has no Date', () => {
  expect(read({ 'retry-after': 'Sun, 22 Nov 2026 10:01:00 GMT' })).toBe(60)
  expect(read({ 'retry-after': 'Sunday, 22-Nov-26 10:01:00 GMT' })).toBe(60)
  expect(read({ 'retry-after': 'Sun Nov 22 10:01:00 2026' })).toBe(60)
  expect(read({ 'retry-after': 'Sun, 22 Nov 2026 09:00:00 GMT' })).toBe(0)
})

test('what is neither is as good as absent', () => {
  for (const value of ['-5', '1.5', 'soon', '7 s', 'Sun, 99 Nov 2026 10:01:00 GMT']) {
    expect(read({ 'retry-after': value }), value).toBeUndefined()
  }
  expect(read({})).toBeUndefined()
})
