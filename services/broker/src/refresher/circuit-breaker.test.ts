import { createManualClock } from '@nexus/testing'
import { expect, test } from 'vitest'
import { type CallVerdict, createCircuitBreakers } from './circuit-breaker.ts'

const provider = { providerId: 'p1', providerName: 'slack', profileRevision: 1, connectionId: 'c1' }

function openScene(random = () => 0) {
  const { now, advance } = createManualClock()
  const breakers = createCircuitBreakers(now, random)
  const begin = (called = provider) => {
    const call = breakers.begin(called)
    if (call === undefined) throw new Error('no call may begin')
    return call
  }
  const call = (verdict: CallVerdict, called = provider): void => begin(called).end(verdict)
  const fail = (times: number, retryAfterSeconds?: number): void => {
    for (let n = 0; n < times; n++) call({ kind: 'fails', retryAfterSeconds })
  }
  const refuse = (...connectionIds: readonly string[]): void => {
    for (const connectionId of connectionIds) call({ kind: 'refuses_client' }, { ...provider, connectionId })
  }
  const state = () => breakers.states().get(provider.providerId)?.state
  const passSeconds = (seconds: number): void => advance(seconds * 1000)
  return { breakers, begin, call, fail, refuse, state, passSeconds }
}

test('five failures in a row open the circuit, four do not', () => {
  const { breakers, call, fail, state } = openScene()
  fail(4)
  call({ kind: 'works' })
  fail(4)
  expect(state()).toBe('closed')
  expect(breakers.allowance('p1')).toBe(Number.POSITIVE_INFINITY)
  fail(1)
  expect(state()).toBe('open')
  expect(breakers.allowance('p1')).toBe(0)
  expect(breakers.begin(provider)).toBeUndefined()
  expect(breakers.secondsUntilTry('p1')).toBe(15)
})

test('what tells nothing of the provider neither counts as a failure nor ends a row of them', () => {
  const { call, fail, state } = openScene()
  fail(4)
  call({ kind: 'unclear' })
  expect(state()).toBe('closed')
  fail(1)
  expect(state()).toBe('open')
})

test('a circuit is its own: other providers are called as before', () => {
  const { breakers, fail } = openScene()
  fail(5)
  expect(breakers.allowance('p2')).toBe(Number.POSITIVE_INFINITY)
  expect(breakers.begin({ ...provider, providerId: 'p2' })).toBeDefined()
})

test('each try that fails doubles the time until the next, up to five minutes; a success begins anew', () => {
  const { breakers, call, fail, passSeconds, state } = openScene()
  fail(5)
  for (const seconds of [15, 30, 60, 120, 240, 300, 300]) {
    expect(breakers.secondsUntilTry('p1')).toBe(seconds)
    passSeconds(seconds - 1)
    expect(breakers.begin(provider)).toBeUndefined()
    passSeconds(1)
    expect(state()).toBe('half_open')
    fail(1)
  }
  passSeconds(300)
  call({ kind: 'works' })
  expect(state()).toBe('closed')
  fail(4)
  expect(state(), 'earlier failures are forgotten').toBe('closed')
  fail(1)
  expect(breakers.secondsUntilTry('p1')).toBe(15)
})

test('jitter only makes it longer, by a quarter at most: Brokers do not come back together', () => {
  const { breakers, fail } = openScene(() => 0.999)
  fail(5)
  expect(breakers.secondsUntilTry('p1')).toBeGreaterThan(18)
  expect(breakers.secondsUntilTry('p1')).toBeLessThanOrEqual(18.75)
})

test('half-open lets one call through, however many ask at once', () => {
  const { breakers, begin, fail, passSeconds } = openScene()
  fail(5)
  passSeconds(15)
  expect(breakers.allowance('p1')).toBe(1)
  const one = begin()
  expect(breakers.allowance('p1')).toBe(0)
  expect(breakers.begin(provider)).toBeUndefined()
  expect(breakers.secondsUntilTry('p1'), 'soon: it depends on the try').toBe(1)
  one.end({ kind: 'unclear' })
  expect(breakers.allowance('p1'), 'it told nothing: another may try').toBe(1)
  const two = begin()
  two.end({ kind: 'works' })
  expect(breakers.allowance('p1')).toBe(Number.POSITIVE_INFINITY)
})

test('calls that began before it opened are one outage with those that opened it', () => {
  const { breakers, begin, fail, passSeconds, state } = openScene()
  const late = Array.from({ length: 20 }, () => begin())
  fail(5)
  for (const call of late.slice(0, 10)) call.end({ kind: 'fails', retryAfterSeconds: 200 })
  expect(breakers.secondsUntilTry('p1')).toBe(15)
  passSeconds(15)
  for (const call of late.slice(10, 15)) call.end({ kind: 'fails' })
  expect(state(), 'only the try may open it again').toBe('half_open')
  for (const call of late.slice(15)) call.end({ kind: 'refuses_client' })
  expect(state()).toBe('half_open')
  fail(1)
  expect(breakers.secondsUntilTry('p1'), 'one outage so far, not twenty-one').toBe(30)
})

test('a call that began before it opened and works closes it, try under way or not', () => {
  const { begin, fail, passSeconds, state } = openScene()
  const late = begin()
  fail(5)
  passSeconds(15)
  const trying = begin()
  late.end({ kind: 'works' })
  expect(state()).toBe('closed')
  trying.end({ kind: 'fails' })
  expect(state(), 'one failure after a success').toBe('closed')
})

test('the end of a try of earlier does not make room for a second one beside the present', () => {
  const { breakers, begin, fail, passSeconds } = openScene()
  const late = begin()
  fail(5)
  passSeconds(15)
  const slow = begin()
  late.end({ kind: 'works' })
  fail(5)
  passSeconds(15)
  const present = begin()
  slow.end({ kind: 'unclear' })
  expect(breakers.begin(provider)).toBeUndefined()
  present.end({ kind: 'works' })
})

test('Retry-After makes it longer, never shorter, and five minutes at most', () => {
  for (const [retryAfter, seconds] of [
    [5, 15],
    [100, 100],
    [86_400, 300],
  ] as const) {
    const { breakers, fail } = openScene()
    fail(5, retryAfter)
    expect(breakers.secondsUntilTry('p1')).toBe(seconds)
  }
})

test('a client that is refused with three connections in a row opens it, for a minute at most', () => {
  const { breakers, begin, call, refuse, passSeconds, state } = openScene()
  const together = Array.from({ length: 10 }, () => begin())
  refuse('a', 'b', 'a', 'b')
  expect(state(), 'two of them may be at fault themselves').toBe('closed')
  refuse('c')
  for (const other of together) other.end({ kind: 'refuses_client' })
  for (const seconds of [15, 30, 60, 60]) {
    expect(breakers.secondsUntilTry('p1')).toBe(seconds)
    passSeconds(seconds)
    refuse('a')
  }
  passSeconds(60)
  call({ kind: 'fails' })
  expect(state(), 'the try failed, if for another reason').toBe('open')
})

test('one connection whose client is refused holds up nobody, however often it asks, until it works itself', () => {
  const { breakers, call, refuse, state } = openScene()
  const bad = { ...provider, connectionId: 'bad' }
  expect(breakers.isRefusedAlone('p1', 'bad')).toBe(false)
  refuse('bad')
  expect(breakers.isRefusedAlone('p1', 'bad'), 'nothing has worked since').toBe(false)
  call({ kind: 'works' })
  expect(breakers.isRefusedAlone('p1', 'bad')).toBe(true)
  refuse('bad', 'bad', 'bad', 'd', 'bad', 'e')
  expect(state(), 'it counts no more').toBe('closed')

  call({ kind: 'works' }, bad)
  expect(breakers.isRefusedAlone('p1', 'bad')).toBe(false)
  expect(breakers.isRefusedAlone('p1', 'd')).toBe(true)
  refuse('bad', 'f', 'g')
  expect(state()).toBe('open')
})

test('half-open, a connection that is refused alone ends its try with nothing learnt: another may try', () => {
  const { breakers, call, fail, refuse, passSeconds, state } = openScene()
  refuse('bad')
  call({ kind: 'works' })
  fail(5)
  passSeconds(15)
  refuse('bad')
  expect(state()).toBe('half_open')
  expect(breakers.allowance('p1')).toBe(1)
  refuse('x', 'y')
  expect(state(), 'nor do two others say enough').toBe('half_open')
  refuse('z')
  expect(state()).toBe('open')
})

test('a profile that was changed since is not blamed for less: who was refused alone under the old one counts anew', () => {
  const { breakers, call, refuse } = openScene()
  refuse('bad')
  call({ kind: 'works' })
  call({ kind: 'works' }, { ...provider, profileRevision: 2 })
  expect(breakers.isRefusedAlone('p1', 'bad')).toBe(false)
})

test('a profile that was changed since is another one, whatever becomes of calls under the old one', () => {
  const { breakers, begin, call, fail, state } = openScene()
  const old = begin()
  fail(5)
  expect(breakers.allowance('p1', 1)).toBe(0)
  expect(breakers.allowance('p1', 2)).toBe(Number.POSITIVE_INFINITY)
  const mended = { ...provider, providerName: 'slack-eu', profileRevision: 2 }
  call({ kind: 'works' }, mended)
  old.end({ kind: 'refuses_client' })
  expect(state()).toBe('closed')
  expect(breakers.states().get('p1')?.providerName).toBe('slack-eu')
  // a claim from before the change
  expect(begin()).toBeDefined()
})

test('only the first end of a call counts', () => {
  const { begin, fail, state } = openScene()
  const call = begin()
  call.end({ kind: 'unclear' })
  for (let n = 0; n < 5; n++) call.end({ kind: 'fails' })
  expect(state()).toBe('closed')
  fail(5)
  call.end({ kind: 'works' })
  expect(state()).toBe('open')
})
