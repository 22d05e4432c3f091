import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { createProviderSlots } from './provider-slots.ts'

beforeEach(() => {
  vi.useFakeTimers()
})
afterEach(() => {
  vi.useRealTimers()
})

/** Says how each of those who wait has fared so far. */
function watch(...waiting: readonly Promise<boolean>[]): readonly (boolean | undefined)[] {
  const fates: (boolean | undefined)[] = waiting.map(() => undefined)
  waiting.forEach((one, index) => void one.then((isGranted) => (fates[index] = isGranted)))
  return fates
}

const settle = () => vi.advanceTimersByTimeAsync(0)

test('a caller takes a free slot at once, and those of one provider are no other one’s', async () => {
  const slots = createProviderSlots(2)
  expect(await slots.takeInTurn('a', 0)).toBe(true)
  expect(slots.free('a')).toBe(1)
  expect(slots.free('b')).toBe(2)
  expect([...slots.busy()]).toEqual(['a'])
  slots.giveBack('a')
  expect(slots.free('a')).toBe(2)
  expect([...slots.busy()], 'nothing is kept of a provider with nothing under way').toEqual([])
})

test('callers get slots in the order in which they came', async () => {
  const slots = createProviderSlots(1)
  slots.tryTake('a')
  const fates = watch(...[1, 2, 3].map(() => slots.takeInTurn('a', 1_000)))
  for (const expected of [
    [true, undefined, undefined],
    [true, true, undefined],
    [true, true, true],
  ]) {
    slots.giveBack('a')
    await settle()
    expect(fates).toEqual(expected)
  }
})

test('a slot that is handed over is never free in between, for callers or for the loop', async () => {
  const slots = createProviderSlots(1)
  slots.tryTake('a')
  const waiting = slots.takeInTurn('a', 1_000)
  slots.giveBack('a')
  // in the same turn, before the waiter has run
  expect(slots.free('a')).toBe(0)
  const [second] = [slots.takeInTurn('a', 1_000)]
  const fates = watch(waiting, second)
  await settle()
  expect(fates).toEqual([true, undefined])
  slots.giveBack('a')
  await settle()
  expect(fates).toEqual([true, true])
  slots.giveBack('a')
  expect(slots.free('a')).toBe(1)
})

test('the loop sees none free while callers wait, whatever is given back meanwhile', async () => {
  const slots = createProviderSlots(2)
  slots.tryTake('a')
  slots.tryTake('a')
  const fates = watch(...[1, 2, 3].map(() => slots.takeInTurn('a', 1_000)))
  slots.giveBack('a')
  slots.giveBack('a')
  await settle()
  expect(fates).toEqual([true, true, undefined])
  expect(slots.free('a')).toBe(0)
  slots.giveBack('a')
  await settle()
  expect(fates).toEqual([true, true, true])
  slots.giveBack('a')
  expect(slots.free('a')).toBe(1)
})

test('a caller whose time is over gets none, and stands in nobody’s way', async () => {
  const slots = createProviderSlots(1)
  slots.tryTake('a')
  const fates = watch(slots.takeInTurn('a', 100), slots.takeInTurn('a', 1_000))
  await vi.advanceTimersByTimeAsync(101)
  expect(fates).toEqual([false, undefined])
  slots.giveBack('a')
  await settle()
  expect(fates).toEqual([false, true])
  slots.giveBack('a')
  expect(slots.free('a')).toBe(1)
})

test('a slot that is granted in the last moment is granted, and given back once', async () => {
  const slots = createProviderSlots(1)
  slots.tryTake('a')
  const fates = watch(slots.takeInTurn('a', 100))
  slots.giveBack('a')
  await vi.advanceTimersByTimeAsync(200)
  expect(fates).toEqual([true])
  expect(slots.free('a')).toBe(0)
  slots.giveBack('a')
  expect(slots.free('a')).toBe(1)
})

test('in all, eight providers may have what one may have; nothing is negative', async () => {
  const slots = createProviderSlots(2)
  for (let n = 0; n < 8; n++) slots.tryTake(`p${n}`)
  expect(slots.freeInAll()).toBe(8)
  for (let n = 0; n < 8; n++) slots.tryTake(`p${n}`)
  expect(slots.freeInAll()).toBe(0)
  // callers are served at further providers all the same
  expect(await slots.takeInTurn('another', 0)).toBe(true)
  expect(slots.freeInAll()).toBe(0)
  expect(slots.tryTake('another')).toBe(true)
  expect(slots.tryTake('another'), 'no more than one may have').toBe(false)
  expect(slots.free('another')).toBe(0)
  slots.giveBack('unknown')
  expect(slots.freeInAll()).toBe(0)
})
