import { expect, test } from 'vitest'
import { backoffSeconds } from './backoff.ts'

const limits = { firstSeconds: 5, longestSeconds: 60 }

test('each failure doubles the pause, from the first to the longest', () => {
  const pauses = [1, 2, 3, 4, 5, 6, 100_000].map((failures) => backoffSeconds(failures, limits, () => 1))
  expect(pauses).toEqual([5, 10, 20, 40, 60, 60, 60])
})

test('the pause is jittered in its upper half, the longest one too', () => {
  expect(backoffSeconds(1, limits, () => 0)).toBe(2.5)
  expect(backoffSeconds(100_000, limits, () => 0)).toBe(30)
})
