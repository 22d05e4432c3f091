import { expect, test } from 'vitest'
import { findParameterFault, parseParameters } from './strict-parameters.ts'

test('reads names and values, percent-encoding and plus signs', () => {
  const parameters = parseParameters('a=1&b%20c=%C3%A9+x&empty=&bare')
  expect({ ...parameters }).toEqual({ a: '1', 'b c': 'é x', empty: '', bare: '' })
  expect(findParameterFault(parameters)).toBeUndefined()
})

test.each([
  ['a=1&a=2', 'a'],
  ['a=1&%61=2', 'a'],
  ['code=x&state=y&code=x', 'code'],
  ['a&a', 'a'],
])('[C5] %s repeats a parameter: the fault names it', (text, name) => {
  const fault = findParameterFault(parseParameters(text))
  expect(fault?.code).toBe('invalid_request')
  expect(fault?.details).toEqual({ fields: [{ field: name, problem: 'was given more than once' }] })
})

test.each(['__proto__=1', 'constructor=1', '%5F_proto__=1', 'a=1&__proto__=x&__proto__=y'])(
  '[C5] %s reaches for a prototype: refused, and no prototype changes',
  (text) => {
    const parameters = parseParameters(text)
    expect(findParameterFault(parameters)?.code).toBe('invalid_request')
    expect(Object.getPrototypeOf(parameters)).toBeNull()
    expect(Object.hasOwn(parameters, '__proto__')).toBe(false)
  },
)

test('a name that every object inherits is an ordinary parameter', () => {
  const parameters = parseParameters('toString=1&hasOwnProperty=2')
  expect(findParameterFault(parameters)).toBeUndefined()
  expect(Object.keys(parameters)).toEqual(['toString', 'hasOwnProperty'])
})

test('broken percent-encoding never throws: the router calls this where nothing may', () => {
  expect(() => parseParameters('a=%&b=%zz&c=%E9&=&&&')).not.toThrow()
})

test('a fault shows at most 100 characters of a name', () => {
  const fault = findParameterFault(parseParameters(`${'n'.repeat(500)}=1&${'n'.repeat(500)}=2`))
  expect(fault?.message).toContain(`"${'n'.repeat(100)}"`)
})
