import { expect, test } from 'vitest'
import type { z } from 'zod'
import * as fields from './fields.ts'

function valuesOf(field: z.ZodType, entered: readonly (string | undefined)[]): unknown[] {
  return entered.map((value) => field.parse(value))
}

/** The different messages that refuse these inputs; one that is taken shows up by name. */
function messagesFor(field: z.ZodType, entered: readonly (string | undefined)[]): string[] {
  const messages = entered.flatMap((value) => {
    const { error } = field.safeParse(value)
    return error?.issues.map((issue) => issue.message) ?? [`${JSON.stringify(value)} is taken`]
  })
  return [...new Set(messages)]
}

test('port', () => {
  expect(valuesOf(fields.port(8080), [undefined, '0', '65535'])).toEqual([8080, 0, 65_535])
  const wrong = ['65536', '-1', '80.5', '8e3', '0x50', ' 80', '80 ', '+80', '99999999999', 'NaN']
  expect(messagesFor(fields.port(8080), wrong)).toEqual(['must be a whole number from 0 to 65535'])
})

test('positiveInteger', () => {
  expect(valuesOf(fields.positiveInteger(300), [undefined, '1', '2147483647'])).toEqual([300, 1, 2_147_483_647])
  expect(messagesFor(fields.positiveInteger(300), ['0', '2147483648', '1.5'])).toEqual([
    'must be a whole number from 1 to 2147483647',
  ])
  const ranged = fields.positiveInteger(10, { min: 5, max: 20 })
  expect(messagesFor(ranged, ['4', '21'])).toEqual(['must be a whole number from 5 to 20'])
})

test('booleanFlag', () => {
  expect(valuesOf(fields.booleanFlag(true), [undefined, 'true', '1', 'TRUE', 'false', '0'])).toEqual([
    true,
    true,
    true,
    true,
    false,
    false,
  ])
  expect(messagesFor(fields.booleanFlag(true), ['yes', 'no', 'off', ' true', 'truee', '2'])).toEqual([
    'must be true or false',
  ])
})

test('host', () => {
  expect(valuesOf(fields.host('0.0.0.0'), [undefined, '::', 'localhost', 'broker-1.internal'])).toEqual([
    '0.0.0.0',
    '::',
    'localhost',
    'broker-1.internal',
  ])
  const wrong = ['[::1]', 'a b', 'a..b', '-a', 'http://a', 'a:80', 'a'.repeat(254)]
  expect(messagesFor(fields.host('0.0.0.0'), wrong)).toEqual(['must be an IP address or a host name'])
})

test('commaList', () => {
  expect(valuesOf(fields.commaList(), [undefined, ' a ,b,,'])).toEqual([[], ['a', 'b']])
})

test('cidrList', () => {
  expect(fields.cidrList().parse(undefined).isEmpty).toBe(true)
  expect(fields.cidrList('0.0.0.0/0').parse(undefined).contains('1.2.3.4')).toBe(true)
  expect(fields.cidrList('0.0.0.0/0').parse('10.0.0.0/8').contains('1.2.3.4')).toBe(false)
  expect(messagesFor(fields.cidrList(), ['::1,nonsense'])).toEqual(['item 2 is neither an IP address nor a CIDR block'])
})

test('httpUrl', () => {
  expect(
    valuesOf(fields.httpUrl(), ['http://broker:8080', 'HTTPS://Broker.Internal:443/api/', 'http://[::1]:8080/']),
  ).toEqual(['http://broker:8080', 'https://broker.internal/api', 'http://[::1]:8080'])
  expect(messagesFor(fields.httpUrl(), [undefined])).toEqual(['is required'])
  const notHttp = ['broker:8080', 'ftp://broker', 'http:broker', 'http:///broker', 'http://', 'http://a:99999']
  const more = [
    'http://user@broker',
    'http://user:pw@broker',
    'http://@broker',
    'http://a/?x=1',
    'http://a/?',
    'http://a#',
  ]
  const odd = ['http:\\\\broker', 'http://a\\b', 'http://a\tb', ' http://a', 'http://a\n', 'https://a b', 'http://a\0']
  const message = 'must be an http or https URL without user name, query and fragment'
  expect(messagesFor(fields.httpUrl(), [...notHttp, ...more, ...odd])).toEqual([message])
})

test('originList', () => {
  const lists = [undefined, '', ' https://App.example.com/ ,http://localhost:3000,, https://b.example:443 ']
  expect(valuesOf(fields.originList(), lists)).toEqual([
    [],
    [],
    ['https://app.example.com', 'http://localhost:3000', 'https://b.example'],
  ])
  for (const open of [
    '*',
    'null',
    'https://*.example.com/x',
    'https://a.example,app.example.com',
    'https://a.example/x',
  ]) {
    expect.soft(messagesFor(fields.originList(), [open]), open).toEqual(['must be an origin: scheme, host, port'])
  }
  expect(messagesFor(fields.originList(), ['http://app.example.com'])).toEqual([
    'must be https unless it is on loopback',
  ])
})

test('httpOrigin', () => {
  expect(
    valuesOf(fields.httpOrigin(), [
      'https://nexus.example.com/',
      'https://Nexus.example.com:443',
      'http://localhost:8090',
      'http://127.0.0.1:8090',
      'http://[::1]:8090',
    ]),
  ).toEqual([
    'https://nexus.example.com',
    'https://nexus.example.com',
    'http://localhost:8090',
    'http://127.0.0.1:8090',
    'http://[::1]:8090',
  ])
  const notOrigins = ['https://nexus.example.com/nexus', 'nexus.example.com', 'https://u@a', 'https://a?x']
  expect(messagesFor(fields.httpOrigin(), notOrigins)).toEqual(['must be an origin: scheme, host, port'])
  const open = ['http://nexus.example.com', 'http://127.example.com', 'http://localhost.example.com', 'http://10.0.0.1']
  expect(messagesFor(fields.httpOrigin(), open)).toEqual(['must be https unless it is on loopback'])
})

test('logLevel and nodeEnv', () => {
  expect(valuesOf(fields.logLevel(), [undefined, 'WARN'])).toEqual(['info', 'warn'])
  expect(valuesOf(fields.nodeEnv, [undefined, 'production'])).toEqual(['development', 'production'])
  expect(messagesFor(fields.nodeEnv, ['prod', 'staging'])).toEqual(['must be one of development, production, test'])
})
