import { expect, test } from 'vitest'
import { rememberReadiness } from './broker-readiness.ts'

test('an answer is good for a second', async () => {
  let time = 0
  const answers = [true, false, true]
  const isReady = rememberReadiness(
    async () => answers.shift() ?? false,
    () => time,
  )

  expect(await isReady()).toBe(true)
  time = 999
  expect(await isReady()).toBe(true)
  time = 1_000
  expect(await isReady()).toBe(false)
  time = 2_000
  expect(await isReady()).toBe(true)
})

test('nobody asks again while the answer is under way, however long it takes', async () => {
  let time = 0
  let calls = 0
  const release = Promise.withResolvers<boolean>()
  const isReady = rememberReadiness(
    () => {
      calls += 1
      return release.promise
    },
    () => time,
  )

  const first = isReady()
  time = 60_000
  const second = isReady()
  release.resolve(true)

  expect(await Promise.all([first, second])).toEqual([true, true])
  expect(calls).toBe(1)
})
