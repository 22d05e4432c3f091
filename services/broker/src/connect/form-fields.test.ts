import { englishTexts } from '@nexus/service'
import { expect, test } from 'vitest'
import { squash } from '../../test/view-samples.ts'
import { builtInSchema } from '../providers/built-in-schemas.ts'
import { drawField } from './field-view.ts'
import { formFields } from './form-fields.ts'

const strategy = { type: 'header', config: { credential_field: 'key' } } as const

const namesOf = (credentialSchema: Readonly<Record<string, unknown>>) =>
  formFields({ name: 'test', credentialSchema, strategy }).map(({ name }) => name)

test('fields come in the order in which the schema names them', () => {
  const text = { type: 'string' }
  const properties = { note: text, account: text, password: text, username: text }
  expect(namesOf({ type: 'object', properties, required: ['username'] })).toEqual(Object.keys(properties))
})

test('what the strategy uses as its secret is one, unless the schema says that it is not', () => {
  const isSecret = (key: object) => {
    const credentialSchema = {
      type: 'object',
      properties: { key: { type: 'string', ...key }, note: { type: 'string' } },
    }
    return formFields({ name: 'test', credentialSchema, strategy }).map((field) => field.isSecret)
  }
  expect(isSecret({})).toEqual([true, false])
  expect(isSecret({ writeOnly: false })).toEqual([false, false])
})

test('user name comes before password, and AWS keys in the order in which they are shown', () => {
  expect(namesOf(builtInSchema({ type: 'basic_auth', config: {} }))).toEqual(['username', 'password'])
  expect(namesOf(builtInSchema({ type: 'aws_sigv4', config: {} }))).toEqual([
    'access_key',
    'secret_key',
    'session_token',
  ])
})

test('a schema becomes a form: types, titles, help, limits, choices, defaults and examples', () => {
  const credentialSchema = {
    type: 'object',
    required: ['key', 'region'],
    properties: {
      key: { type: 'string', title: 'Key', description: 'From the console', writeOnly: true, examples: ['k-1'] },
      region: { type: 'string', oneOf: [{ const: 'eu', title: 'Europe' }], default: 'eu' },
      port: { type: 'integer', minimum: 1, maximum: 9, default: 7 },
      live: { type: 'boolean', default: true },
    },
  }
  const drawn = formFields({ name: 'test', credentialSchema, strategy }).map((field) =>
    squash(drawField(field, undefined, englishTexts.form).markup),
  )
  const [key, region, port, live] = drawn
  expect(drawn).toHaveLength(4)
  expect(key).toMatch(/<bdi>Key<\/bdi>.*From the console.*type="password".* required.*placeholder="k-1"/)
  expect(region).toMatch(/<bdi>region<\/bdi>.*<option value="eu" selected>Europe<\/option>/)
  expect(port).toMatch(/\(optional\).*type="number" inputmode="numeric".*min="1" max="9" value="7"/)
  expect(live).toMatch(/type="checkbox".* checked/)
})
