import { setTimeout as delay } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { sampleSparingly } from './sample-sparingly.ts'

/** A value that counts how often it was taken, under a clock that the test moves; `hold` keeps the next takings open. */
function openScene() {
  const scene = { now: 0, taken: 0, fails: false, gate: undefined as Promise<void> | undefined }
  const ask = sampleSparingly(
    async () => {
      scene.taken += 1
      const number = scene.taken
      await scene.gate
      if (scene.fails) throw new Error('away')
      return number
    },
    () => scene.now,
  )
  return { scene, ask }
}

test('a value stands for a minute', async () => {
  const { scene, ask } = openScene()
  expect(await ask()).toBe(1)
  scene.now = 59_999
  expect(await ask()).toBe(1)
  scene.now = 60_000
  expect(await ask()).toBe(2)
})

test('many who ask at once share one sample', async () => {
  const { scene, ask } = openScene()
  expect(await Promise.all(Array.from({ length: 20 }, ask))).toEqual(Array.from({ length: 20 }, () => 1))
  expect(scene.taken).toBe(1)
})

test('a sample that took long is not taken again soon', async () => {
  const { scene, ask } = openScene()
  const { promise, resolve } = Promise.withResolvers<void>()
  scene.gate = promise
  const asked = ask()
  scene.now = 5_000
  resolve()
  expect(await asked).toBe(1)
  scene.now = 504_999
  expect(await ask()).toBe(1)
  scene.now = 505_000
  expect(await ask()).toBe(2)
})

test('nobody waits long for a sample: there is the last value, and the new one afterwards', async () => {
  const { scene, ask } = openScene()
  expect(await ask()).toBe(1)
  const { promise, resolve } = Promise.withResolvers<void>()
  scene.gate = promise
  scene.now = 60_000
  expect(await Promise.race([ask(), delay(5_000, 'kept waiting')])).toBe(1)
  expect(scene.taken, 'the sample runs on').toBe(2)
  resolve()
  expect(await ask()).toBe(2)
})

test('a failure leaves no value rather than an old one, and is not repeated at once', async () => {
  const { scene, ask } = openScene()
  expect(await ask()).toBe(1)
  scene.fails = true
  scene.now = 60_000
  expect(await ask()).toBeUndefined()
  scene.fails = false
  expect(await ask()).toBeUndefined()
  expect(scene.taken).toBe(2)
  scene.now = 120_000
  expect(await ask()).toBe(3)
})
