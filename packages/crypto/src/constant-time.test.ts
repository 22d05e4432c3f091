import { expect, test } from 'vitest'
import { equalInConstantTime } from './constant-time.ts'
import { sha256 } from './digest.ts'

test('[C1] equal bytes are equal, whatever their type', () => {
  expect(equalInConstantTime('key', 'key')).toBe(true)
  expect(equalInConstantTime('key', Buffer.from('key'))).toBe(true)
  expect(equalInConstantTime(new Uint8Array([1, 2]), Buffer.of(1, 2))).toBe(true)
  expect(equalInConstantTime('', new Uint8Array(0))).toBe(true)
})

test('[C1] whatever differs is unequal: one bit, the length, padding, case', () => {
  const key = 'k3y-0123456789-abcdefghijklmnopqr'
  for (const other of ['', key.slice(1), key.slice(0, -1), `${key} `, `${key}\0`, key.toUpperCase(), `${key}${key}`]) {
    expect(equalInConstantTime(key, other), JSON.stringify(other)).toBe(false)
  }
  const bytes = Buffer.from(key)
  for (let bit = 0; bit < bytes.length * 8; bit++) {
    const flipped = Buffer.from(bytes)
    flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7))
    expect(equalInConstantTime(bytes, flipped), `bit ${bit}`).toBe(false)
  }
})

test('sha256 takes a text as UTF-8 (FIPS 180-2, B.1)', () => {
  expect(sha256('abc').toString('hex')).toBe('ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad')
  expect(sha256('é')).toEqual(sha256(Uint8Array.of(0xc3, 0xa9)))
})
