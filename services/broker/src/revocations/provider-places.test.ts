import { createManualClock } from '@nexus/testing'
import { expect, test } from 'vitest'
import { createProviderPlaces, perProvider } from './provider-places.ts'

const answered = { hasAnswered: true, retryAfterSeconds: undefined }
const silent = { hasAnswered: false, retryAfterSeconds: undefined }

test('whoever has nothing under way is no exception', () => {
  const places = createProviderPlaces(createManualClock().now)
  places.take('a')
  expect(places.exceptions()).toEqual(new Map([['a', perProvider - 1]]))
  places.giveBack('a', answered)
  expect(places.exceptions()).toEqual(new Map())
})

test('a provider that does not answer gets one place, until it answers again', () => {
  const places = createProviderPlaces(createManualClock().now)
  for (let n = 0; n < perProvider; n++) places.take('dead')
  expect(places.exceptions()).toEqual(new Map([['dead', 0]]))
  for (let n = 0; n < perProvider; n++) places.giveBack('dead', silent)
  expect(places.exceptions()).toEqual(new Map([['dead', 1]]))
  places.take('dead')
  expect(places.exceptions(), 'the one is taken').toEqual(new Map([['dead', 0]]))
  places.giveBack('dead', answered)
  expect(places.exceptions()).toEqual(new Map())
})

test('a provider that asked for quiet gets none until then, and never waits longer than ten minutes', () => {
  const clock = createManualClock()
  const places = createProviderPlaces(clock.now)
  const placesOfBusy = (): number | undefined => places.exceptions().get('busy')
  places.take('busy')
  places.giveBack('busy', { hasAnswered: false, retryAfterSeconds: 30 })
  expect(placesOfBusy()).toBe(0)
  clock.advance(29_999)
  expect(placesOfBusy()).toBe(0)
  clock.advance(1)
  expect(placesOfBusy()).toBe(1)
  places.take('busy')
  places.giveBack('busy', { hasAnswered: false, retryAfterSeconds: 86_400 })
  clock.advance(600_000)
  expect(placesOfBusy()).toBe(1)
})

test('an attempt that tells nothing of the provider changes nothing but the number', () => {
  const places = createProviderPlaces(createManualClock().now)
  places.take('a')
  places.giveBack('a', silent)
  places.take('a')
  places.giveBack('a', undefined)
  expect(places.exceptions()).toEqual(new Map([['a', 1]]))
})

test('the places of all providers together are bounded', () => {
  const places = createProviderPlaces(createManualClock().now)
  const all = places.free()
  for (const id of ['a', 'a', 'b']) places.take(id)
  expect(places.free()).toBe(all - 3)
  for (const id of ['a', 'a', 'b']) places.giveBack(id, answered)
  expect(places.free()).toBe(all)
})
