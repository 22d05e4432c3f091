import { expect, test } from 'vitest'
import { readOptions, UsageError } from './options.ts'

test('without arguments: fixed ports, data below the checkout, text for people', () => {
  expect(readOptions([], {}, '/checkout')).toEqual({
    ports: { gateway: 8090, broker: 8080, provider: 9400, postgres: 54_329 },
    dataDir: '/checkout/.nexus',
    databaseUrl: undefined,
    json: false,
  })
})

test('an option wins over its variable, an empty variable counts as absent, the offset moves what is not given', () => {
  const env = { NEXUS_BROKER_PORT: '7000', NEXUS_GATEWAY_PORT: '7001', NEXUS_POSTGRES_PORT: '', NEXUS_DATA_DIR: 'data' }
  const options = readOptions(['--broker-port', '0', '--port-offset', '100', '--json'], env, '/checkout')
  expect(options).toMatchObject({
    ports: { broker: 0, gateway: 7001, provider: 9500, postgres: 54_429 },
    dataDir: '/checkout/data',
    json: true,
  })
})

test('variables of other projects change nothing', () => {
  const env = { PORT: '1', DATABASE_URL: 'postgres://elsewhere/other', DATA_DIR: '/elsewhere' }
  expect(readOptions([], env, '/checkout')).toEqual(readOptions([], {}, '/checkout'))
})

test.each([['--broker-port', '70000'], ['--broker-port', '80.5'], ['--gateway-port', ''], ['--prot', '1'], ['start']])(
  'a mistaken call is refused and named: %s %s',
  (...args) => {
    expect(() => readOptions(args, {}, '/checkout')).toThrow(UsageError)
    expect(() => readOptions(args, {}, '/checkout')).toThrow(args[0])
  },
)

test('help is asked for, not run', () => {
  expect(readOptions(['-h'], {}, '/checkout')).toBeUndefined()
})
