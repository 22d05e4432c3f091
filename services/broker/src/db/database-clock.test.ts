import { createManualClock } from '@nexus/testing'
import { expect, test } from 'vitest'
import { createDatabaseClock } from './database-clock.ts'
import type { Queryable } from './database.ts'

/** A host and a database, each with a clock of its own; an answer takes `latencyMs`. */
function openScene(latencyMs = 0) {
  const truth = createManualClock()
  const start = truth.now()
  let hostErrorMs = 0
  const host = { now: () => truth.now() + hostErrorMs, monotonicMs: () => truth.now() - start + 5_000 }
  const database: Queryable = {
    async query<Row>() {
      truth.advance(latencyMs / 2)
      const answer = [{ now: truth.now() }] as readonly unknown[] as readonly Row[]
      truth.advance(latencyMs / 2)
      return answer
    },
  }
  const setHostError = (milliseconds: number): void => void (hostErrorMs = milliseconds)
  return { truth, setHostError, clock: createDatabaseClock(database, host) }
}

test('[R9] once measured, the time is the database’s, however wrong the host is', async () => {
  const { truth, setHostError, clock } = openScene()
  for (const error of [600_000, -600_000, 0]) {
    setHostError(error)
    await clock.measure()
    expect(clock.now()).toBe(truth.now())
    expect(clock.offsetMs()).toBe(0 - error)
    truth.advance(123_456)
    expect(clock.now(), 'it goes on by the monotonic clock').toBe(truth.now())
  }
})

test('[R9] a host clock that jumps between measurements changes the offset and not the time', async () => {
  const { truth, setHostError, clock } = openScene()
  await clock.measure()
  setHostError(600_000)
  truth.advance(1_000)
  expect(clock.now()).toBe(truth.now())
  expect(clock.offsetMs()).toBe(-600_000)
})

test('an answer that takes long is wrong by no more than half of that', async () => {
  const { truth, clock } = openScene(3_000)
  await clock.measure()
  expect(Math.abs(clock.now() - truth.now())).toBeLessThanOrEqual(1_500)
})

test('before the first measurement, and when one fails, the last known time goes on', async () => {
  const truth = createManualClock()
  const failing: Queryable = { query: () => Promise.reject(new Error('away')) }
  const clock = createDatabaseClock(failing, { now: truth.now, monotonicMs: truth.now })
  expect(clock.now()).toBe(truth.now())
  await expect(clock.measure()).rejects.toThrow('away')
  truth.advance(60_000)
  expect(clock.now()).toBe(truth.now())
  expect(clock.offsetMs()).toBe(0)
})
