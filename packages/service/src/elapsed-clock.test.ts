import { expect, test } from 'vitest'
import { createElapsedClock } from './elapsed-clock.ts'

function openScene() {
  const machine = { wall: 1_000_000, monotonic: 50 }
  const elapsed = createElapsedClock(
    () => machine.wall,
    () => machine.monotonic,
  )
  const first = elapsed()
  return {
    since: () => elapsed() - first,
    pass: (ms: number, { asleep = false } = {}) => {
      machine.wall += ms
      if (!asleep) machine.monotonic += ms
    },
    setWall: (byMs: number) => void (machine.wall += byMs),
  }
}

test('time goes by while the machine works, and while it sleeps', () => {
  const { since, pass } = openScene()
  pass(400)
  expect(since()).toBe(400)
  pass(60_000, { asleep: true })
  expect(since()).toBe(60_400)
  pass(5)
  expect(since()).toBe(60_405)
  pass(2_000, { asleep: true })
  expect(since(), 'a second sleep counts as well').toBe(62_405)
})

test('a wall clock that is set back holds nothing up, and one that returns adds nothing', () => {
  const { since, pass, setWall } = openScene()
  setWall(-3_600_000)
  pass(1_000)
  expect(since()).toBe(1_000)
  setWall(3_600_000)
  pass(1_000)
  expect(since()).toBe(2_000)
})

test('a wall clock that is slewed adds nothing', () => {
  const { since, pass, setWall } = openScene()
  for (let step = 0; step < 10; step++) {
    pass(1_000)
    setWall(90)
    expect(since()).toBe((step + 1) * 1_000)
  }
})

test('the clocks of this machine go together', () => {
  const elapsed = createElapsedClock()
  const began = performance.now()
  const first = elapsed()
  const second = elapsed()
  expect(second).toBeGreaterThanOrEqual(first)
  expect(second - first).toBeLessThanOrEqual(performance.now() - began)
})
