import { expect, test } from 'vitest'
import { randomToken } from './random.ts'

test('a token is base64url of that many bytes of the source', () => {
  expect(randomToken(32, (size) => new Uint8Array(size).fill(0xff))).toBe(`${'_'.repeat(42)}8`)
  expect(randomToken(32)).toMatch(/^[\w-]{43}$/)
  expect(randomToken(16)).toMatch(/^[\w-]{22}$/)
  expect(new Set(Array.from({ length: 1000 }, () => randomToken(16))).size).toBe(1000)
})

test('a token that could be guessed is refused', () => {
  for (const bytes of [0, 15, -1, NaN]) expect(() => randomToken(bytes, () => new Uint8Array(32))).toThrow(RangeError)
})
