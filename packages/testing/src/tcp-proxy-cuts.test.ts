import { expect, test } from 'vitest'
import { createByteCut, createPatternCut } from './tcp-proxy-cuts.ts'

const connection = {}
function feed(options: { occurrence?: number; deliver?: boolean }, ...chunks: string[]): (number | undefined)[] {
  const cut = createPatternCut('to-client', Buffer.from('COMMIT'), options, () => undefined)
  return chunks.map((chunk) => cut.inspect(connection, Buffer.from(chunk)))
}

test('cuts before the pattern, or right behind it', () => {
  expect(feed({}, 'abc', 'xxCOMMITyy')).toEqual([undefined, 2])
  expect(feed({ deliver: true }, 'xxCOMMITyy')).toEqual([8])
})

test('finds a pattern that straddles chunks, and never delivers its last byte', () => {
  expect(feed({}, 'xxCOM', 'MITyy')).toEqual([undefined, 0])
  expect(feed({}, 'C', 'O', 'M', 'M', 'I', 'T')).toEqual([undefined, undefined, undefined, undefined, undefined, 0])
  expect(feed({ deliver: true }, 'xxCOM', 'MITyy')).toEqual([undefined, 3])
})

test('counts occurrences once each', () => {
  expect(feed({ occurrence: 2 }, 'COMMIT', 'x', 'COMMIT')).toEqual([undefined, undefined, 0])
  expect(feed({ occurrence: 3 }, 'COMMITCOMMIT', 'COM', 'MIT')).toEqual([undefined, undefined, 0])
})

test('half patterns of two connections make no whole', () => {
  const cut = createPatternCut('to-client', Buffer.from('COMMIT'), {}, () => undefined)
  expect(cut.inspect({}, Buffer.from('COM'))).toBeUndefined()
  expect(cut.inspect({}, Buffer.from('MIT'))).toBeUndefined()
})

test('a byte cut counts per connection and delivers exactly its number', () => {
  const cut = createByteCut('to-server', 10, () => undefined)
  expect(cut.inspect(connection, Buffer.alloc(6))).toBeUndefined()
  expect(cut.inspect({}, Buffer.alloc(6))).toBeUndefined()
  expect(cut.inspect(connection, Buffer.alloc(6))).toBe(4)
})
