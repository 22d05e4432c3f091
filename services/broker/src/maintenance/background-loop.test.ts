import { captureLogs } from '@nexus/testing'
import { createLogger } from '@nexus/service'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { startBackgroundLoop } from './background-loop.ts'

beforeEach(() => {
  vi.useFakeTimers()
})
afterEach(() => {
  vi.useRealTimers()
})

type Round = { readonly signal: AbortSignal; readonly end: (hasMore?: boolean) => void; readonly fail: () => void }

/** A loop whose rounds end when the test says so; `random` 0.5 makes pauses exact. */
function openScene(random = () => 0.5) {
  const rounds: Round[] = []
  const logs = captureLogs()
  const logger = createLogger({ level: 'debug', service: 'test', destination: logs })
  const work = (signal: AbortSignal): Promise<boolean> => {
    const { promise, resolve, reject } = Promise.withResolvers<boolean>()
    rounds.push({
      signal,
      end: (hasMore = false) => resolve(hasMore),
      fail: () => reject(new Error('the database is away')),
    })
    return promise
  }
  const loop = startBackgroundLoop({ name: 'sweep', everyMs: 1_000, work, logger, random })
  return { loop, rounds, logs }
}

const pass = (ms: number) => vi.advanceTimersByTimeAsync(ms)

test('rounds follow each other at their distance, from the end of one to the begin of the next', async () => {
  const { loop, rounds } = openScene()
  await pass(499)
  expect(rounds).toHaveLength(0)
  await pass(1)
  expect(rounds).toHaveLength(1)
  await pass(60_000)
  expect(rounds, 'never two at once, however long one takes').toHaveLength(1)
  rounds[0]?.end()
  await pass(999)
  expect(rounds).toHaveLength(1)
  await pass(1)
  expect(rounds).toHaveLength(2)
  loop.stop()
})

test('many Brokers spread out: they begin anywhere in the first interval, and vary by a quarter after that', async () => {
  for (const [random, first, next] of [
    [() => 0, 0, 750],
    [() => 0.999, 999, 1_249],
  ] as const) {
    const { loop, rounds } = openScene(random)
    await pass(Math.max(0, first - 1))
    expect(rounds).toHaveLength(first === 0 ? 1 : 0)
    await pass(1)
    rounds[0]?.end()
    await pass(next - 2)
    expect(rounds).toHaveLength(1)
    await pass(3)
    expect(rounds).toHaveLength(2)
    loop.stop()
  }
})

test('while there is more, the next round begins at once', async () => {
  const { loop, rounds } = openScene()
  await pass(500)
  for (let n = 0; n < 5; n++) {
    rounds[n]?.end(true)
    await pass(0)
    expect(rounds).toHaveLength(n + 2)
  }
  rounds[5]?.end(false)
  await pass(900)
  expect(rounds).toHaveLength(6)
  loop.stop()
})

test('a round that fails is said, and the next one comes all the same', async () => {
  const { loop, rounds, logs } = openScene()
  await pass(500)
  for (let n = 0; n < 3; n++) {
    rounds[n]?.fail()
    await pass(999)
    expect(rounds, 'it does not spin').toHaveLength(n + 1)
    await pass(1)
    expect(rounds).toHaveLength(n + 2)
  }
  const said = logs.lines().filter(({ msg }) => msg === 'background work failed; it will be tried again')
  expect(said).toHaveLength(3)
  expect(said[0]).toMatchObject({ job: 'sweep', err: { message: 'the database is away' } })
  loop.stop()
})

test('wake begins a round now, and none beside the one that runs', async () => {
  const { loop, rounds } = openScene()
  loop.wake()
  expect(rounds).toHaveLength(1)
  loop.wake()
  expect(rounds).toHaveLength(1)
  rounds[0]?.end()
  await pass(10)
  loop.wake()
  expect(rounds).toHaveLength(2)
  await pass(1_000)
  expect(rounds, 'the round that was waited for is this one').toHaveLength(2)
  rounds[1]?.end()
  await pass(1_000)
  expect(rounds).toHaveLength(3)
  loop.stop()
})

test('after stop no round begins, and the one that runs is told', async () => {
  const { loop, rounds } = openScene()
  await pass(500)
  expect(rounds[0]?.signal.aborted).toBe(false)
  loop.stop()
  expect(rounds[0]?.signal.aborted).toBe(true)
  rounds[0]?.end(true)
  loop.wake()
  await pass(60_000)
  expect(rounds).toHaveLength(1)
})

test('stopped before its first round, it never begins one', async () => {
  const { loop, rounds } = openScene()
  loop.stop()
  await pass(60_000)
  await loop[Symbol.asyncDispose]()
  expect(rounds).toHaveLength(0)
})

test('disposing of it waits for the round that runs', async () => {
  const { loop, rounds } = openScene()
  await pass(500)
  let isDisposed = false
  const disposing = loop[Symbol.asyncDispose]().then(() => (isDisposed = true))
  await pass(5_000)
  expect(isDisposed).toBe(false)
  rounds[0]?.fail()
  await disposing
  expect(isDisposed).toBe(true)
  await pass(60_000)
  expect(rounds).toHaveLength(1)
})
