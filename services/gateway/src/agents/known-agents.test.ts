import { expect, test } from 'vitest'
import type { AgentIdentity } from './agent-identity.ts'
import { createKnownAgents } from './known-agents.ts'

function identityOf(keyId: string): AgentIdentity {
  return { keyId, tier: 'authenticated', owner: 'alice', zone: 'eng' }
}

function build(most = 3) {
  let time = 1_000
  const known = createKnownAgents({ now: () => time, most })
  return { known, advance: (milliseconds: number) => void (time += milliseconds), now: () => time }
}

test('what the Broker said holds for a minute after it last said it', () => {
  const { known, advance, now } = build()
  known.remember('a', identityOf('1'), now())
  advance(59_999)
  expect(known.find('a')).toMatchObject({ keyId: '1' })
  known.remember('a', identityOf('1'), now())
  advance(59_999)
  expect(known.find('a')).toMatchObject({ keyId: '1' })
  expect(known.count()).toBe(1)
  advance(1)
  expect(known.find('a')).toBeUndefined()
  expect(known.count()).toBe(0)
})

test('the zone of one request is not taken for that of the next', () => {
  const { known, now } = build()
  known.remember('a', identityOf('1'), now())
  expect(known.find('a')?.zone).toBeUndefined()
})

test('a refused token is forgotten, and stays so whatever an answer says that was on its way', () => {
  const { known, advance, now } = build()
  known.remember('a', identityOf('1'), now())
  const askedBefore = now()
  advance(10)
  known.forget('a')
  known.remember('a', identityOf('1'), askedBefore)
  expect(known.find('a')).toBeUndefined()
  expect(known.count()).toBe(0)

  advance(10)
  known.remember('a', identityOf('1'), now())
  expect(known.find('a')).toMatchObject({ keyId: '1' })
})

test('who was not heard of for longest makes room; tokens that nobody knew take none', () => {
  const { known, now } = build(3)
  for (const name of ['a', 'b', 'c', 'a']) known.remember(name, identityOf(name), now())
  for (let index = 0; index < 100; index++) known.forget(`invented-${index}`)
  expect(known.count()).toBe(3)

  known.remember('d', identityOf('d'), now())
  expect(['a', 'b', 'c', 'd'].filter((name) => known.find(name) !== undefined)).toEqual(['a', 'c', 'd'])
})
