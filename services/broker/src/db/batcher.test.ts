import { setImmediate as turn } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { createBatcher } from './batcher.ts'

const options = { maxBatch: 3, maxConcurrent: 1, maxQueued: 8, chargeTo: () => 'one' }

/** A run that records its batches and finishes when told. */
const controlledRun = () => {
  const batches: (readonly number[])[] = []
  const finish: (() => void)[] = []
  const run = (items: readonly number[]): Promise<readonly (string | Error)[]> => {
    batches.push(items)
    return new Promise((resolve) => {
      finish.push(() => {
        resolve(items.map((n) => (n < 0 ? new Error(`bad ${n}`) : `done ${n}`)))
      })
    })
  }
  return { batches, finish, run }
}

test('what arrives in one turn shares a batch; what arrives meanwhile shares the next', async () => {
  const { batches, finish, run } = controlledRun()
  const batcher = createBatcher({ ...options, maxQueued: 100 }, run)
  const first = [1, 2].map((n) => batcher(n))
  await turn()
  const second = [3, 4, 5, 6].map((n) => batcher(n))
  await turn()
  expect(batches).toEqual([[1, 2]])
  finish[0]!()
  await Promise.all(first)
  await turn()
  expect(batches[1]).toEqual([3, 4, 5])
  finish[1]!()
  await turn()
  finish[2]!()
  expect(await Promise.all(second)).toEqual(['done 3', 'done 4', 'done 5', 'done 6'])
})

test('an item fails alone', async () => {
  const { finish, run } = controlledRun()
  const batcher = createBatcher({ ...options, maxQueued: 100 }, run)
  const settled = Promise.allSettled([1, -2, 3].map((n) => batcher(n)))
  await turn()
  finish[0]!()
  expect((await settled).map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled'])
})

test('one caller cannot fill more than a quarter of the queue, and its places come back', async () => {
  const { finish, run } = controlledRun()
  const batcher = createBatcher<number, string>({ ...options, chargeTo: (n) => (n < 100 ? 'greedy' : 'other') }, run)
  const running = batcher(1)
  await turn()
  const waiting = [batcher(2), batcher(3)]
  await expect(batcher(4)).rejects.toThrow('Too many requests are waiting')
  waiting.push(batcher(100))
  finish[0]!()
  await running
  await turn()
  waiting.push(batcher(5))
  finish[1]!()
  await turn()
  finish[2]!()
  expect(await Promise.all(waiting)).toHaveLength(4)
})

test('a batch that throws fails its items only, and the next one runs', async () => {
  let calls = 0
  const batcher = createBatcher<number, string>({ ...options, maxQueued: 100 }, (items) => {
    calls += 1
    return calls === 1 ? Promise.reject(new Error('database away')) : Promise.resolve(items.map(String))
  })
  await expect(batcher(1)).rejects.toThrow('database away')
  await expect(batcher(2)).resolves.toBe('2')
})
