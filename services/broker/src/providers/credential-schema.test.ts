import { expect, test } from 'vitest'
import { builtInSchema } from './built-in-schemas.ts'
import { compileSchemaOf } from './credential-schema.ts'

const strategy = { type: 'header', config: { credential_field: 'key' } } as const

const namesOf = (credentialSchema: Readonly<Record<string, unknown>>) =>
  compileSchemaOf({ name: 'test', credentialSchema, strategy }).fields.map(({ name }) => name)

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
    return compileSchemaOf({ name: 'test', credentialSchema, strategy }).fields.map((field) => field.isSecret)
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
