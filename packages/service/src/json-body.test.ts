import { expect, test } from 'vitest'
import { maxJsonDepth, parseJson } from './json-body.ts'

const bytes = (text: string): Uint8Array => Buffer.from(text)
const nested = (depth: number): string => '['.repeat(depth) + ']'.repeat(depth)

test('reads any JSON document', () => {
  expect(parseJson(bytes('{"a":[1,"é",null,{"b":true}]}'))).toEqual({ a: [1, 'é', null, { b: true }] })
  expect(parseJson(bytes('\uFEFF{"a":1}'))).toEqual({ a: 1 })
})

test('[C5] nesting is allowed up to 32 levels and refused beyond', () => {
  expect(parseJson(bytes(nested(maxJsonDepth)))).toBeInstanceOf(Array)
  expect(() => parseJson(bytes(nested(maxJsonDepth + 1)))).toThrow('deeper than 32')
  expect(() => parseJson(bytes(`{"a":${'{"b":'.repeat(32)}1${'}'.repeat(33)}`))).toThrow('deeper than 32')
})

test('[C5] brackets inside strings are no nesting, and an escaped quote does not end a string', () => {
  expect(parseJson(bytes(JSON.stringify({ a: '['.repeat(1000) })))).toEqual({ a: '['.repeat(1000) })
  expect(parseJson(bytes(JSON.stringify({ a: `\\"${'{'.repeat(99)}` })))).toEqual({ a: `\\"${'{'.repeat(99)}` })
  expect(() => parseJson(bytes(`{"a":"\\\\","b":${nested(33)}}`))).toThrow('deeper than 32')
})

test('[C5] a mebibyte of brackets is refused without recursion', () => {
  expect(() => parseJson(bytes('['.repeat(1_048_576)))).toThrow('deeper than 32')
})

test.each([
  '{"__proto__":{"admin":true}}',
  '{"a":[{"b":{"__proto__":1}}]}',
  '{"\\u005f_proto__":1}',
  '{"constructor":{"prototype":{}}}',
  '{"a":{"constructor":1}}',
])('[C5] %s carries a prototype name: refused', (document) => {
  expect(() => parseJson(bytes(document))).toThrow('is not a possible field name')
})

test('a prototype name as a value is only text', () => {
  expect(parseJson(bytes('["__proto__","constructor"]'))).toEqual(['__proto__', 'constructor'])
})

test.each(['', '{', '{"a":1,}', 'undefined', "{'a':1}", '{"a":1} x', 'NaN'])('%j is not JSON', (document) => {
  expect(() => parseJson(bytes(document))).toThrow('The body is not valid JSON')
})

test('bytes that are no UTF-8 are refused, not replaced', () => {
  expect(() => parseJson(Uint8Array.of(0x22, 0xff, 0x22))).toThrow('The body is not valid JSON')
})

test('[L1] a refused document leaves no trace in the error', () => {
  const canary = 'canary-7f3a'
  const refuse = (): unknown => parseJson(bytes(`{"credential":"${canary}"`))
  expect(refuse).toThrow(expect.not.objectContaining({ cause: expect.anything() }))
  expect(refuse).toThrow(/^(?!.*canary)/)
})

test.each([
  ['at the top', '{"a":1,"b":2,"a":3}', 'a'],
  ['deep inside', '{"x":[{"y":{"b":1,"c":[],"b":{}}}]}', 'b'],
  ['in two spellings', String.raw`{"name":1,"n\u0061me":2}`, 'name'],
  ['behind text that looks like one', String.raw`{"t":"\":{","c":"}","t":1}`, 't'],
])('a key that stands twice is refused by name: %s', (_, text, field) => {
  expect(() => parseJson(Buffer.from(text))).toThrow(
    expect.objectContaining({ code: 'invalid_request', message: `${field}: was given more than once` }),
  )
})

test('the same key in different objects, and as a value, is nothing unusual', () => {
  const value = [{ a: 'a', b: { a: ['a', 'a', { a: ':' }] } }, { a: '{"a":1,"a":2}' }]
  expect(parseJson(Buffer.from(JSON.stringify(value)))).toEqual(value)
})
