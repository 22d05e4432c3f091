import { expect, test } from 'vitest'
import type { z } from 'zod'
import * as fields from './fields.ts'

function expectAll(field: z.ZodType, accepted: readonly (readonly [string | undefined, unknown])[]) {
  for (const [entered, value] of accepted) expect(field.parse(entered), JSON.stringify(entered)).toEqual(value)
}

function expectRefused(field: z.ZodType, message: string, refused: readonly (string | undefined)[]) {
  for (const entered of refused) {
    const { error } = field.safeParse(entered)
    expect(
      error?.issues.map((issue) => issue.message),
      JSON.stringify(entered),
    ).toEqual([message])
  }
}

test('port', () => {
  expectAll(fields.port(8080), [
    [undefined, 8080],
    ['0', 0],
    ['65535', 65_535],
  ])
  const wrong = ['65536', '-1', '80.5', '8e3', '0x50', ' 80', '80 ', '+80', '99999999999', 'NaN']
  expectRefused(fields.port(8080), 'must be a whole number from 0 to 65535', wrong)
})

test('positiveInteger', () => {
  expectAll(fields.positiveInteger(300), [
    [undefined, 300],
    ['1', 1],
    ['2147483647', 2_147_483_647],
  ])
  expectRefused(fields.positiveInteger(300), 'must be a whole number from 1 to 2147483647', ['0', '2147483648', '1.5'])
  const ranged = fields.positiveInteger(10, { min: 5, max: 20 })
  expectRefused(ranged, 'must be a whole number from 5 to 20', ['4', '21'])
})

test('booleanFlag', () => {
  expectAll(fields.booleanFlag(true), [
    [undefined, true],
    ['true', true],
    ['1', true],
    ['TRUE', true],
    ['false', false],
    ['0', false],
  ])
  expectRefused(fields.booleanFlag(true), 'must be true or false', ['yes', 'no', 'off', ' true', 'truee', '2'])
})

test('host', () => {
  expectAll(fields.host('0.0.0.0'), [
    [undefined, '0.0.0.0'],
    ['::', '::'],
    ['localhost', 'localhost'],
    ['broker-1.internal', 'broker-1.internal'],
  ])
  const wrong = ['[::1]', 'a b', 'a..b', '-a', 'http://a', 'a:80', 'a'.repeat(254)]
  expectRefused(fields.host('0.0.0.0'), 'must be an IP address or a host name', wrong)
})

test('commaList', () => {
  expectAll(fields.commaList(), [
    [undefined, []],
    [' a ,b,,', ['a', 'b']],
  ])
})

test('cidrList', () => {
  expect(fields.cidrList().parse(undefined).isEmpty).toBe(true)
  expect(fields.cidrList('0.0.0.0/0').parse(undefined).contains('1.2.3.4')).toBe(true)
  expect(fields.cidrList('0.0.0.0/0').parse('10.0.0.0/8').contains('1.2.3.4')).toBe(false)
  expectRefused(fields.cidrList(), 'item 2 is neither an IP address nor a CIDR block', ['::1,nonsense'])
})

function contains(entered: string | undefined, address: string): boolean {
  return fields.cidrListOrFlag().parse(entered).contains(address)
}

test('cidrListOrFlag', () => {
  expect([contains('true', '10.0.0.1'), contains('True', 'fd00::1')]).toEqual([true, true])
  expect([contains('false', '10.0.0.1'), contains(undefined, '10.0.0.1')]).toEqual([false, false])
  expect([contains('10.0.0.0/8', '10.0.0.1'), contains('10.0.0.0/8', '11.0.0.1')]).toEqual([true, false])
  expectRefused(fields.cidrListOrFlag(), 'item 1 is neither an IP address nor a CIDR block', ['yes', 'truefalse'])
})

test('httpUrl', () => {
  expectAll(fields.httpUrl(), [
    ['http://broker:8080', 'http://broker:8080'],
    ['HTTPS://Broker.Internal:443/api/', 'https://broker.internal/api'],
    ['http://[::1]:8080/', 'http://[::1]:8080'],
  ])
  expectRefused(fields.httpUrl(), 'is required', [undefined])
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
  expectRefused(fields.httpUrl(), message, [...notHttp, ...more, ...odd])
})

test('httpOrigin', () => {
  expectAll(fields.httpOrigin(), [
    ['https://nexus.example.com/', 'https://nexus.example.com'],
    ['https://Nexus.example.com:443', 'https://nexus.example.com'],
    ['http://localhost:8090', 'http://localhost:8090'],
    ['http://127.0.0.1:8090', 'http://127.0.0.1:8090'],
    ['http://[::1]:8090', 'http://[::1]:8090'],
  ])
  const notOrigins = ['https://nexus.example.com/nexus', 'nexus.example.com', 'https://u@a', 'https://a?x']
  expectRefused(fields.httpOrigin(), 'must be an origin: scheme, host, port', notOrigins)
  const open = ['http://nexus.example.com', 'http://127.example.com', 'http://localhost.example.com', 'http://10.0.0.1']
  expectRefused(fields.httpOrigin(), 'must be https unless it is on loopback', open)
})

test('logLevel and nodeEnv', () => {
  expectAll(fields.logLevel(), [
    [undefined, 'info'],
    ['WARN', 'warn'],
  ])
  expectAll(fields.nodeEnv, [
    [undefined, 'development'],
    ['production', 'production'],
  ])
  expectRefused(fields.nodeEnv, 'must be one of development, production, test', ['prod', 'staging'])
})
