import { expect, expectTypeOf, test } from 'vitest'
import { isNexusError, NexusError, sdkErrorCodes, serverErrorCodes } from './errors.ts'

test('isNexusError narrows to any code, or to those named', () => {
  const error: unknown = new NexusError('attention_required', 'the person must consent again')
  expect(isNexusError(error)).toBe(true)
  expect(isNexusError(error, 'attention_required')).toBe(true)
  expect(isNexusError(error, 'timeout', 'network_error')).toBe(false)
  expect(isNexusError(new Error('attention_required'))).toBe(false)
  expect(isNexusError(undefined)).toBe(false)
  if (isNexusError(error, 'timeout', 'network_error')) {
    expectTypeOf(error.code).toEqualTypeOf<'timeout' | 'network_error'>()
  }
})

test('no code of ours is one of the server', () => {
  const ofServer: readonly string[] = serverErrorCodes
  expect(sdkErrorCodes.filter((code) => ofServer.includes(code))).toEqual([])
})
