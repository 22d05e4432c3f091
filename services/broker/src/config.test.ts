import { randomBytes } from 'node:crypto'
import { expect, test } from 'vitest'
import { readBrokerConfig } from './config.ts'

const [one, two, three] = Array.from({ length: 3 }, () => randomBytes(32).toString('base64'))
const env = {
  DATABASE_URL: 'postgresql://localhost/nexus',
  ENCRYPTION_KEY: one,
  STATE_KEY: two,
  API_KEY: three,
  BASE_URL: 'https://nexus.example.com',
}

test('keys of their own are accepted', () => {
  expect(readBrokerConfig(env).BASE_URL).toBe('https://nexus.example.com')
})

test.each([
  ['STATE_KEY', { STATE_KEY: one }],
  ['API_KEY', { API_KEY: one }],
  ['API_KEY', { API_KEY: `${randomBytes(32).toString('hex')},${two}` }],
  ['ADMIN_API_KEY', { ADMIN_API_KEY: three }],
])('[V2] %s may not be a key that guards something else, and is not shown', (name, change) => {
  expect(() => readBrokerConfig({ ...env, ...change })).toThrow(`${name}: must not be equal to`)
  expect(() => readBrokerConfig({ ...env, ...change })).not.toThrow(Object.values(change).join())
})
