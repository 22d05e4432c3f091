import { expect, test } from 'vitest'
import { createAuditChannel } from './audit-channel.ts'

function build() {
  let time = 0
  let lost = 0
  const calls: { readonly channel: string; readonly message: string; readonly answer: PromiseWithResolvers<number> }[] =
    []
  const publish = (channel: string, message: string): Promise<number> => {
    const answer = Promise.withResolvers<number>()
    calls.push({ channel, message, answer })
    return answer.promise
  }
  // ioredis overloads it with a callback, which nobody here gives
  const redis = { publish: publish as never }
  const channel = createAuditChannel({ redis, now: () => time, onLost: () => void (lost += 1) })
  return { channel, calls, lost: () => lost, advance: (milliseconds: number) => void (time += milliseconds) }
}

test('messages go to the channel as they are', () => {
  const { channel, calls } = build()
  channel.publish('{"a":1}')
  expect(calls).toMatchObject([{ channel: 'nexus:audit:mcp', message: '{"a":1}' }])
})

test('[R5] a Redis that takes nothing is handed no more than it can leave lying about; the rest is counted', async () => {
  const { channel, calls, lost } = build()
  for (let index = 0; index < 10_000; index++) channel.publish('m')
  expect(calls).toHaveLength(500)
  expect(lost()).toBe(9_500)

  for (const { answer } of calls) answer.resolve(0)
  await new Promise(setImmediate)
  channel.publish('m')
  expect(calls).toHaveLength(501)
})

test('[R5] after a failure it is left alone for two seconds', async () => {
  const { channel, calls, lost, advance } = build()
  channel.publish('m')
  calls[0]!.answer.reject(new Error('away'))
  await new Promise(setImmediate)
  channel.publish('m')
  advance(1_999)
  channel.publish('m')
  expect(calls).toHaveLength(1)
  expect(lost()).toBe(3)

  advance(1)
  channel.publish('m')
  expect(calls).toHaveLength(2)
})
