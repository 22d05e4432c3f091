import { expect, test } from 'vitest'
import { inBatches } from './in-batches.ts'

/** So many rows wait; batches are counted. */
function openScene(waiting: number) {
  const batches: number[] = []
  let left = waiting
  const work = async (limit: number): Promise<number> => {
    const done = Math.min(left, limit)
    left -= done
    batches.push(done)
    return done
  }
  return { batches, work, left: () => left }
}

const never = new AbortController().signal

test('goes on while batches are full', async () => {
  const { batches, work } = openScene(2500)
  expect(await inBatches(work, never)).toBe(2500)
  expect(batches).toEqual([1000, 1000, 500])
})

test('looks once where there is nothing', async () => {
  const { batches, work } = openScene(0)
  expect(await inBatches(work, never)).toBe(0)
  expect(batches).toEqual([0])
})

test('leaves the rest of very much to the next sweep', async () => {
  const { work, left } = openScene(25_000)
  await inBatches(work, never)
  expect(left()).toBe(5_000)
})

test('stops between two batches when the Broker ends', async () => {
  const { batches, work } = openScene(25_000)
  const stopping = new AbortController()
  const until = async (limit: number): Promise<number> => {
    const done = await work(limit)
    if (batches.length === 3) stopping.abort()
    return done
  }
  expect(await inBatches(until, stopping.signal)).toBe(3000)
})
