import { expect, test } from 'vitest'
import { createRequestIds } from './request-id.ts'

const idOf = createRequestIds(() => 'made-here')
const withHeader = (value: string | undefined) =>
  idOf({ headers: value === undefined ? {} : { 'x-request-id': value } })

test.each(['abcdefgh', '0198c2b1-aaaa-7bbb-8ccc-123456789abc', 'a.b_c-D9'.repeat(8)])(
  'takes the sane token %s',
  (token) => {
    expect(withHeader(token)).toBe(token)
  },
)

test.each([
  ['none', undefined],
  ['an empty one', ''],
  ['one too short to be unique', 'abcdefg'],
  ['one too long for a log line', 'a'.repeat(65)],
  ['a repeated header', 'abcdefgh, abcdefgh'],
  ['one with a line break', 'abcdefgh\nX'],
  ['one with a quote', 'abcdefgh"'],
  ['one that is no ASCII', 'abcdefghé'],
])('makes its own for %s', (_what, value) => {
  expect(withHeader(value)).toBe('made-here')
})
