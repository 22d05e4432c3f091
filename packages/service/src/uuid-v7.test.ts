import { randomBytes } from 'node:crypto'
import { expect, test } from 'vitest'
import { createUuidV7, drawAhead } from './uuid-v7.ts'

const ones = (size: number): Uint8Array => new Uint8Array(size).fill(0xff)
const zeros = (size: number): Uint8Array => new Uint8Array(size)

test('lays out time, version, counter and variant as RFC 9562 §5.7 draws them', () => {
  const create = createUuidV7(() => 0x017f22e279b0, ones)
  expect(create()).toBe('017f22e2-79b0-77ff-bfff-ffffffffffff')
})

test('ids of one millisecond rise, although the random parts are equal', () => {
  const create = createUuidV7(() => 1_000, zeros)
  const ids = Array.from({ length: 5_000 }, create)
  expect(ids.toSorted()).toEqual(ids)
  expect(new Set(ids).size).toBe(ids.length)
})

test('a clock that steps back does not turn the order', () => {
  const times = [5_000, 5_001, 4_000, 3_000, 5_001, 5_002]
  const create = createUuidV7(() => times.shift() ?? 0, randomBytes)
  const ids = times.map(() => create())
  expect(ids.toSorted()).toEqual(ids)
})

test('when the counter of a millisecond runs out, time runs ahead instead of repeating', () => {
  const create = createUuidV7(() => 1_000, ones)
  const ids = Array.from({ length: 2_050 }, create)
  expect(ids.at(0)?.slice(0, 13)).toBe('00000000-03e8')
  expect(ids.at(-1)?.slice(0, 13)).toBe('00000000-03e9')
  expect(ids.toSorted()).toEqual(ids)
})

test('bytes drawn ahead are handed out once each, in order', () => {
  const calls: number[] = []
  let next = 0
  const draw = drawAhead((size) => {
    calls.push(size)
    return Uint8Array.from({ length: size }, () => next++)
  }, 8)
  const taken = [draw(3), draw(3), draw(3), draw(20)].map((bytes) => [...bytes])
  expect(calls).toEqual([8, 8, 20])
  expect(taken[0]).toEqual([0, 1, 2])
  expect(taken[1]).toEqual([3, 4, 5])
  // what is left of a piece is too short and never used
  expect(taken[2]).toEqual([8, 9, 10])
  expect(new Set(taken.flat()).size).toBe(29)
})
