import { providerProfileInput } from '@nexus/contracts'
import { expect, test } from 'vitest'
import { builtInSchema } from './built-in-schemas.ts'
import { checkCredentials } from './check-credentials.ts'
import { compileCredentialSchema, compileSchemaOf } from './credential-schema.ts'
import { toProvider } from './profile-settings.ts'
import { isStatic } from './provider.ts'

type Fields = Readonly<Record<string, unknown>>

const strategy = { type: 'header', config: { credential_field: 'api_key' } } as const
const schemaOf = (properties: Fields): Fields => ({
  type: 'object',
  required: ['api_key'],
  properties: { api_key: { type: 'string' }, ...properties },
})

function compile(properties: Fields) {
  return compileCredentialSchema(schemaOf(properties), strategy)
}

function check(properties: Fields, typed: Fields) {
  const params = { credential_schema: schemaOf(properties) }
  const settings = providerProfileInput.parse({ name: 'test', auth_type: 'api_key', params })
  const identity = { id: 'id', name: 'test', zones: [], aliases: [], hasClientSecret: false, alarm: undefined }
  const at = { revision: 1, createdAt: new Date(0), updatedAt: new Date(0) }
  const provider = toProvider(settings, { ...identity, ...at })
  if (!isStatic(provider)) throw new Error('api_key is static')
  return checkCredentials(provider, typed)
}

const nested = '(?:(?:a?){30}){30}'

test.each(['^(a|a)*$', '^(a|aa)+$', '^(?:a*)*$', '^a*a*a*a*a*b$', '(?:(?:.?a?){10}){24}$'])(
  'whatever is typed in, an accepted pattern does not hold up the process: %s',
  (pattern) => {
    const compiled = compile({ note: { type: 'string', pattern } })
    if (compiled.kind === 'refused') throw new Error(compiled.fault.problem)
    const startedAt = performance.now()
    compiled.schema.check({ api_key: 'k', note: `${'a'.repeat(8191)}!` })
    // milliseconds, a second for the last; an engine that goes back would not come back at all
    expect(performance.now() - startedAt).toBeLessThan(5_000)
  },
)

test('a pattern that is quick on short values is accepted for them, and sees no longer ones', () => {
  const pattern = `^${nested}$`
  const [long, short] = [compile({ note: { type: 'string', pattern } }), { type: 'string', pattern, maxLength: 100 }]
  expect(long).toMatchObject({ kind: 'refused', fault: { place: '.properties.note.pattern' } })
  const compiled = compile({ note: short })
  if (compiled.kind === 'refused') throw new Error(compiled.fault.problem)
  const faults = compiled.schema.check({ api_key: 'k', note: `${'a'.repeat(8000)}!` })
  expect(faults).toEqual([{ field: 'note', rule: 'maxLength', limit: 100 }])
})

test('patterns are reckoned together: many that are quick are slow', () => {
  const field = { type: 'string', pattern: '^[a-z]{1,200}$' }
  expect(compile({ a: field }).kind).toBe('compiled')
  const many = Object.fromEntries(Array.from({ length: 20 }, (_, index) => [`f${index}`, field]))
  expect(compile(many)).toMatchObject({ kind: 'refused', fault: { problem: expect.stringContaining('too long') } })
})

test('a limit counts characters as JSON Schema does, not their halves', () => {
  const emoji = '\u{1f511}'
  expect(check({ note: { type: 'string', maxLength: 3 } }, { api_key: 'k', note: emoji.repeat(3) }).kind).toBe('valid')
  expect(check({ note: { type: 'string', maxLength: 3 } }, { api_key: 'k', note: emoji.repeat(4) })).toMatchObject({
    faults: [{ field: 'note', rule: 'maxLength', limit: 3 }],
  })
})

test('a field that is left empty is left out, whichever way it came', () => {
  for (const empty of ['', '  ', '\t']) {
    expect(check({}, { api_key: empty })).toEqual({ kind: 'faulty', faults: [{ field: 'api_key', rule: 'required' }] })
    expect(check({ note: { type: 'string' } }, { api_key: 'k', note: empty })).toEqual({
      kind: 'valid',
      credentials: { api_key: 'k' },
    })
  }
})

test.each([0, 'two\nlines'])(
  '[C6] ever so many fields that nobody asked for, with %j in them, take no time to speak of',
  (value) => {
    const typed = Object.fromEntries(Array.from({ length: 10_000 }, (_, index) => [`x${index}`, value]))
    check({}, { api_key: 'a' })
    const started = performance.now()
    const checked = check({}, typed)
    expect(performance.now() - started).toBeLessThan(500)
    expect(checked).toMatchObject({ kind: 'faulty', faults: { length: expect.any(Number) } })
    expect(checked.kind === 'faulty' && checked.faults.length).toBeLessThan(1_000)
  },
)

test('a choice is taken as it is written, blanks and all, and one that is none says so once', () => {
  const region = { type: 'string', oneOf: [{ const: ' eu', title: 'Europe' }, { const: 'us' }] }
  expect(check({ region }, { api_key: 'k', region: ' eu' }).kind).toBe('valid')
  expect(check({ region }, { api_key: 'k', region: 'moon' })).toEqual({
    kind: 'faulty',
    faults: [{ field: 'region', rule: 'oneOf' }],
  })
})

const byKey = { type: 'header', config: { credential_field: 'key' } } as const

const namesOf = (credentialSchema: Readonly<Record<string, unknown>>) =>
  compileSchemaOf({ name: 'test', credentialSchema, strategy: byKey }).fields.map(({ name }) => name)

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
    return compileSchemaOf({ name: 'test', credentialSchema, strategy: byKey }).fields.map((field) => field.isSecret)
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
