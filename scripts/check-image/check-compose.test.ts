import { expect, test } from 'vitest'
import { root } from '../bootstrap/places.mjs'
import { findComposeFaults } from './check-compose.ts'
import { type ComposeFile, type ComposeService, environmentOf, interpolate, readCompose } from './compose-file.ts'

const compose = readCompose(root)

test('docker-compose.yml has no fault', () => {
  expect(findComposeFaults(compose, root)).toEqual([])
})

const change = (name: string, changes: Partial<ComposeService>): ComposeFile => ({
  ...compose,
  services: { ...compose.services, [name]: { ...compose.services[name], ...changes } },
})

test.each<[string, ComposeFile, RegExp]>([
  ['a published database', change('postgres', { ports: ['127.0.0.1:5432:5432'] }), /postgres publishes/],
  ['a Gateway for everybody', change('gateway', { ports: ['8090:8090'] }), /gateway publishes 8090/],
  ['Redis on a network that leads outside', change('redis', { networks: ['edge'] }), /redis is on edge/],
  ['a Gateway beside the database', change('gateway', { networks: ['edge', 'data'] }), /meets PostgreSQL on data/],
  ['a Broker without a way out', change('broker', { networks: ['data', 'inner'] }), /cannot reach identity providers/],
  ['a writable file system', change('broker', { read_only: false }), /broker may write/],
  ['a Broker that answers everybody', setEnvironment('broker', 'ALLOWED_CIDRS', '0.0.0.0/0'), /ALLOWED_CIDRS/],
  [
    'a key with a default',
    setEnvironment('broker', 'ENCRYPTION_KEY', '${ENCRYPTION_KEY:-x}'),
    /without ENCRYPTION_KEY/,
  ],
  ['a variable nobody told of', setEnvironment('broker', 'PORT', '${PORT:-1}'), /PORT is not in \.env\.example/],
  ['a Broker that believes any Gateway', setEnvironment('broker', 'REQUIRE_BEARER', 'false'), /broker asks for no/],
  ['a Gateway for anonymous agents', setEnvironment('gateway', 'REQUIRE_BEARER', 'false'), /gateway asks for no/],
])('%s is found', (_what, changed, expected) => {
  expect(findComposeFaults(changed, root).join('\n')).toMatch(expected)
})

function setEnvironment(service: string, name: string, value: string): ComposeFile {
  return change(service, { environment: { ...compose.services[service]?.environment, [name]: value } })
}

test('values are filled in as Compose does it', () => {
  const values = { SET: 'value', EMPTY: '' }
  expect(interpolate('${SET} ${EMPTY} ${ABSENT} $$HOME', values)).toBe('value   $HOME')
  expect(interpolate('${EMPTY:-default} ${EMPTY-default} ${ABSENT-default}', values)).toBe('default  default')
  expect(interpolate('${EMPTY?x}', values)).toBe('')
  expect(() => interpolate('${EMPTY:?make one}', values)).toThrow('EMPTY is missing a value: make one')
  expect(() => environmentOf(compose, 'broker', values)).toThrow('POSTGRES_PASSWORD is missing a value')
})
