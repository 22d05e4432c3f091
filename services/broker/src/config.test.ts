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

const webhook = {
  WEBHOOK_URL: 'https://app.example.com/nexus',
  WEBHOOK_SECRET: `whsec_${randomBytes(32).toString('base64')}`,
}

test('keys of their own are accepted', () => {
  expect(readBrokerConfig(env).BASE_URL).toBe('https://nexus.example.com')
  expect(readBrokerConfig({ ...env, ...webhook }).WEBHOOK_SECRET).toHaveLength(1)
})

test.each([
  ['STATE_KEY', { STATE_KEY: one }],
  ['API_KEY', { API_KEY: one }],
  ['API_KEY', { API_KEY: `${randomBytes(32).toString('hex')},${two}` }],
  ['ADMIN_API_KEY', { ADMIN_API_KEY: three }],
  ['WEBHOOK_SECRET', { ...webhook, WEBHOOK_SECRET: `whsec_${one}` }],
  ['WEBHOOK_SECRET', { ...webhook, WEBHOOK_SECRET: `${webhook.WEBHOOK_SECRET},whsec_${two}` }],
])('[V2] %s may not be a key that guards something else, and is not shown', (name, change) => {
  expect(() => readBrokerConfig({ ...env, ...change })).toThrow(`${name}: must not be equal to`)
  for (const entered of Object.values(change)) {
    expect(() => readBrokerConfig({ ...env, ...change })).not.toThrow(entered)
  }
})

test.each(['WEBHOOK_URL', 'WEBHOOK_SECRET'] as const)('%s alone is refused: the two go together', (name) => {
  const missing = name === 'WEBHOOK_URL' ? 'WEBHOOK_SECRET' : 'WEBHOOK_URL'
  expect(() => readBrokerConfig({ ...env, [name]: webhook[name] })).toThrow(`${missing}: is required`)
})
