import { createHash, hkdfSync } from 'node:crypto'
import { expect, test } from 'vitest'
import { expandKey, extractKey, nameKey } from './hkdf.ts'

test('extract and expand together are HKDF-SHA256 with an empty salt', () => {
  for (const info of ['', 'key id', 'x'.repeat(200)]) {
    const master = createHash('sha256').update(`master for ${info}`).digest()
    const expected = Buffer.from(hkdfSync('sha256', master, '', info, 32))
    expect(expandKey(extractKey(master), info)).toEqual(expected)
    expect(nameKey(extractKey(master), info)).toBe(expected.subarray(0, 4).toString('hex'))
  }
})

test('agrees with RFC 5869, test case 3 (no salt, no info)', () => {
  const secret = Buffer.alloc(22, 0x0b)
  const output = '8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d'
  expect(expandKey(extractKey(secret), '').toString('hex')).toBe(output)
})
