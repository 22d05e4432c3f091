import { expect, test } from 'vitest'
import { decodeCursor, encodeCursor, toPage } from './cursor.ts'

const id = '019ab000-0000-7000-8000-000000000001'
const at = { position: '2026-11-22 10:00:00.123456+00', id }

test('a cursor comes back as the place it was made of', () => {
  expect(decodeCursor('audit', encodeCursor('audit', at))).toEqual(at)
  expect(decodeCursor('audit', undefined)).toBeUndefined()
})

test('the cursor of another listing is refused', () => {
  expect(() => decodeCursor('connections', encodeCursor('audit', at))).toThrow(
    expect.objectContaining({ code: 'invalid_request' }),
  )
})

test.each([
  ['nothing', ''],
  ['no base64', '%%%'],
  ['no JSON', Buffer.from('nope').toString('base64url')],
  ['another form', Buffer.from('{"a":1}').toString('base64url')],
  ['a place without listing', Buffer.from(JSON.stringify([at.position, id])).toString('base64url')],
  ['no uuid', encodeCursor('audit', { ...at, id: '1; drop table tokens' })],
  ['the 31st of February', encodeCursor('audit', { ...at, position: '2026-02-31 10:00:00+00' })],
  ['a 25th hour', encodeCursor('audit', { ...at, position: '2026-02-01 25:00:00+00' })],
  ['the year 0', encodeCursor('audit', { ...at, position: '0000-02-01 00:00:00+00' })],
  ['another time zone', encodeCursor('audit', { ...at, position: '2026-02-01 10:00:00+02' })],
])('%s is no cursor', (_, cursor) => {
  expect(() => decodeCursor('audit', cursor)).toThrow(expect.objectContaining({ code: 'invalid_request' }))
})

test('only a page with something behind it has a next one', () => {
  const rows = ['a', 'b', 'c']
  const positionOf = () => at
  expect(toPage('audit', rows, 3, positionOf)).toEqual({ page: rows, nextCursor: null })
  expect(toPage('audit', rows, 2, positionOf)).toEqual({ page: ['a', 'b'], nextCursor: encodeCursor('audit', at) })
  expect(toPage('audit', [], 2, positionOf)).toEqual({ page: [], nextCursor: null })
})
