import { expect, test } from 'vitest'
import { normaliseAlias } from './alias.ts'

test.each([
  ['  Acme CRM ', 'acme crm'],
  ['ÉCLAIR', 'éclair'],
  ['E\u0301clair', 'éclair'],
  ['   ', ''],
])('%j is kept as %j', (text, kept) => {
  expect(normaliseAlias(text)).toBe(kept)
})

test('what is kept is found again under itself', () => {
  for (const text of ['İstanbul', 'ΟΔΟΣ', 'ß', 'Ǆ']) {
    const once = normaliseAlias(text)
    expect(normaliseAlias(once)).toBe(once)
  }
})
