import { expect, test } from 'vitest'
import { AppError } from './app-error.ts'
import { serializeError } from './serialize-error.ts'

const canary = 'canary-91c2'

test('[L1] of an error only name, code, message and stack are shown, and of its causes the same', () => {
  const root = Object.assign(new TypeError('socket closed'), { code: 'ECONNRESET', body: canary, socket: { canary } })
  const middle = Object.assign(new Error('token request failed', { cause: root }), {
    response: { canary },
    status: 400,
  })
  const shown = serializeError(new Error('refresh failed', { cause: middle }))

  expect(shown).toMatchObject({
    name: 'Error',
    message: 'refresh failed',
    cause: {
      message: 'token request failed',
      cause: { name: 'TypeError', code: 'ECONNRESET', message: 'socket closed' },
    },
  })
  expect(Object.keys(shown.cause ?? {}).toSorted()).toEqual(['cause', 'message', 'name', 'stack'])
  expect(JSON.stringify(shown)).not.toContain(canary)
})

test('[L1] a JSON syntax error loses the document that V8 quotes, in the message and in the stack', () => {
  const error = catchError(() => JSON.parse(`{"access_token":"${canary}", nonsense}`))
  expect(error.message).toContain('JSON')
  const shown = serializeError(new Error('answer unreadable', { cause: error }))
  expect(JSON.stringify(shown)).not.toContain('nonsense')
  expect(shown.cause?.stack).toContain('    at ')
})

test('an AppError shows the detail that was written for operators', () => {
  const error = new AppError('unavailable', 'Please try again', { internalDetail: 'pool queue is full' })
  expect(serializeError(error)).toMatchObject({ code: 'unavailable', detail: 'pool queue is full' })
})

test('each failure of an aggregate is shown', () => {
  const failures = [new Error('::1 refused'), new Error('127.0.0.1 refused')]
  expect(serializeError(new AggregateError(failures, 'all failed')).errors).toMatchObject([
    { message: '::1 refused' },
    { message: '127.0.0.1 refused' },
  ])
})

test('a chain that bites its own tail ends', () => {
  const error: Error & { cause?: unknown } = new Error('loop')
  error.cause = error
  expect(JSON.stringify(serializeError(error)).length).toBeLessThan(100_000)
})

test.each([
  ['a string', canary],
  ['an object', { canary }],
  ['null', null],
])('[L1] %s that was thrown is not printed', (_what, thrown) => {
  expect(JSON.stringify(serializeError(thrown))).not.toContain(canary)
})

test('endless messages are cut', () => {
  expect(serializeError(new Error('x'.repeat(100_000))).message.length).toBeLessThan(5_000)
})

function catchError(fail: () => unknown): Error {
  try {
    fail()
  } catch (error) {
    if (error instanceof Error) return error
  }
  throw new Error('nothing was thrown')
}
