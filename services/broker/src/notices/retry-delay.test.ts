import { expect, test } from 'vitest'
import { noticeRetryDelay } from './retry-delay.ts'

const longest = () => 1
const shortest = () => 0

test('each failure doubles the pause, from five seconds to two hours', () => {
  const pauses = Array.from({ length: 13 }, (_, n) => noticeRetryDelay(n + 1, undefined, longest))
  expect(pauses).toEqual([5, 10, 20, 40, 80, 160, 320, 640, 1280, 2560, 5120, 7200, 7200])
  expect(noticeRetryDelay(100_000, undefined, longest)).toBe(7200)
})

test('the pause is jittered in its upper half', () => {
  expect(noticeRetryDelay(1, undefined, shortest)).toBe(2.5)
  expect(noticeRetryDelay(50, undefined, shortest)).toBe(3600)
})

test('a day holds some twenty attempts', () => {
  let seconds = 0
  let attempts = 1
  while (seconds < 86_400) seconds += noticeRetryDelay(attempts++, undefined, () => 0.5)
  expect(attempts).toBeGreaterThan(15)
  expect(attempts).toBeLessThan(30)
})

test('the receiver may ask for more patience, not for less', () => {
  expect(noticeRetryDelay(1, 600, longest)).toBe(600)
  expect(noticeRetryDelay(12, 1, longest)).toBe(7200)
  expect(noticeRetryDelay(1, 0, longest)).toBe(5)
})
