import { expect, test } from 'vitest'
import { findUnstorableText } from './strict-bodies.ts'

test.each([
  ['a NUL', { name: 'a\0b' }, 'name'],
  ['a lone surrogate, deep inside', { params: { list: ['fine', '\ud800'] } }, 'params.list.1'],
  ['the name of a field', { metadata: { 'a\0': 1 } }, 'metadata'],
  ['the whole document', '\udfff', 'body'],
])('[C5] %s is found and its place named', (_, body, field) => {
  expect(findUnstorableText(body)).toBe(field)
})

test('emoji, other control characters and plain values are no fault', () => {
  expect(findUnstorableText({ a: '👩‍💻 \n\u001f', b: [1, null, true], c: {} })).toBeUndefined()
})
