import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { inspect } from 'node:util'
import { expect, test } from 'vitest'
import { z } from 'zod'
import { commaList, port, text } from './fields.ts'
import { ConfigError, readConfig } from './read-config.ts'
import { apiKeyList, keyList32, optionalKey32, requiredKey32 } from './secret-fields.ts'

const schema = z.object({
  ENCRYPTION_KEY: requiredKey32(),
  ENCRYPTION_KEYS_EXTRA: keyList32(),
  STATE_KEY_RETIRED: optionalKey32(),
  API_KEY: apiKeyList(),
  PORT: port(8080),
  NAMES: commaList(),
  SPOOL_DIR: text().optional(),
})
const key = () => randomBytes(32).toString('base64')
const valid = { ENCRYPTION_KEY: key(), API_KEY: key() }

function errorOf(read: () => unknown): ConfigError {
  try {
    read()
  } catch (error) {
    if (error instanceof ConfigError) return error
    throw error
  }
  throw new Error('the configuration was accepted')
}

const faultsOf = (read: () => unknown): readonly string[] => errorOf(read).faults

test('reads, types and freezes the configuration', () => {
  const config = readConfig(schema, { ...valid, PORT: '9000', NAMES: 'a, b,', OTHER: 'ignored' })
  expect(config.ENCRYPTION_KEY.reveal().toString('base64')).toBe(valid.ENCRYPTION_KEY)
  expect(config.API_KEY.map((secret) => secret.reveal())).toEqual([valid.API_KEY])
  expect(config).toMatchObject({ PORT: 9000, NAMES: ['a', 'b'], ENCRYPTION_KEYS_EXTRA: [] })
  expect(config.SPOOL_DIR).toBeUndefined()
  expect(Object.keys(config)).not.toContain('OTHER')
  for (const part of [config, config.NAMES, config.API_KEY, config.ENCRYPTION_KEYS_EXTRA]) {
    expect(Object.isFrozen(part)).toBe(true)
  }
})

test('lists every fault at once, in the order of the schema', () => {
  const faults = faultsOf(() =>
    readConfig(schema, { PORT: 'http', STATE_KEY_RETIRED: 'short', API_KEY: `${key()},8f3a9c1e7b2d` }),
  )
  expect(faults).toEqual([
    'ENCRYPTION_KEY: is required (make one with: openssl rand -base64 32)',
    'STATE_KEY_RETIRED: must be exactly 32 bytes in base64 (make one with: openssl rand -base64 32)',
    'API_KEY: item 2 must have at least 32 characters (make one with: openssl rand -base64 32)',
    'PORT: must be a whole number from 0 to 65535',
  ])
})

test('says how many faults there are, in words an operator can act on', () => {
  const error = new ConfigError(['A: is required', 'B: is required'])
  expect(error.message).toBe('the configuration has 2 faults:\n  A: is required\n  B: is required')
  expect(new ConfigError(['A: is required']).message).toBe('the configuration has a fault:\n  A: is required')
})

test('[L1] no message and no inspection of the error shows a value', () => {
  const canary = 'canary-7d1f'
  const strict = z.object({ ...schema.shape, MODE: z.enum(['a', 'b']), LITERAL: z.literal('c'), MAIL: z.email() })
  const env = Object.fromEntries(Object.keys(strict.shape).map((name) => [name, `${canary},${canary}`]))
  delete env['SPOOL_DIR']
  delete env['NAMES']
  const error = errorOf(() => readConfig(strict, env))
  const seen = inspect(error, { depth: Infinity, showHidden: true }) + JSON.stringify(error) + String(error)
  expect(seen).not.toContain(canary)
  for (const name of Object.keys(env)) expect(seen).toContain(`${name}: `)
})

test('an empty variable is an unset one', () => {
  expect(readConfig(schema, { ...valid, PORT: '', NAMES: '', PORT_FILE: '' })).toMatchObject({ PORT: 8080, NAMES: [] })
  expect(faultsOf(() => readConfig(schema, { ...valid, API_KEY: '' }))).toEqual([
    'API_KEY: is required (make one with: openssl rand -base64 32)',
  ])
})

test('X_FILE reads the value from a file and drops the line break at its end', () => {
  const folder = mkdtempSync(join(tmpdir(), 'nexus-config-'))
  try {
    const path = join(folder, 'api-key')
    writeFileSync(path, `${valid.API_KEY}\r\n\n`)
    const config = readConfig(schema, { ENCRYPTION_KEY: valid.ENCRYPTION_KEY, API_KEY_FILE: path })
    expect(config.API_KEY[0]?.reveal()).toBe(valid.API_KEY)
    const missing = faultsOf(() => readConfig(schema, { ...valid, PORT_FILE: join(folder, 'missing') }))
    expect(missing).toEqual(['PORT_FILE: the file cannot be read (ENOENT)'])
  } finally {
    rmSync(folder, { recursive: true })
  }
})

test('X together with X_FILE is a fault, even where both say the same', () => {
  const env = { ...valid, API_KEY_FILE: '/run/secrets/api-key' }
  expect(faultsOf(() => readConfig(schema, env, { readFile: () => valid.API_KEY }))).toEqual([
    'API_KEY: is set together with API_KEY_FILE; set one of them',
  ])
})

test('an empty secret file is a fault, not the default', () => {
  const env = { ...valid, STATE_KEY_RETIRED_FILE: '/run/secrets/state-key' }
  expect(faultsOf(() => readConfig(schema, env, { readFile: () => '\n' }))).toEqual([
    'STATE_KEY_RETIRED_FILE: the file is empty',
  ])
})

const failWithCanary = () => {
  throw new Error('canary-7d1f')
}

test('a path that cannot be read is not repeated, in case it is the secret itself', () => {
  const env = { ...valid, PORT_FILE: 'canary-7d1f' }
  expect(faultsOf(() => readConfig(schema, env)).join()).not.toContain('canary-7d1f')
  expect(faultsOf(() => readConfig(schema, env, { readFile: failWithCanary }))).toEqual([
    'PORT_FILE: the file cannot be read (unknown reason)',
  ])
})

test('what is wrong between variables names the variable, or the configuration', () => {
  const related = z
    .object({ A: text(), B: text() })
    .refine(({ A, B }) => A !== B, { path: ['B'], error: 'must differ from A' })
    .refine(({ A }) => A !== 'x', 'is wrong as a whole')
    .refine(({ A }) => A !== 'x', { path: ['NOBODY'], error: 'is wrong somewhere' })
  expect(faultsOf(() => readConfig(related, { A: 'x', B: 'x' }))).toEqual([
    'B: must differ from A',
    'configuration: is wrong as a whole',
    'configuration: is wrong somewhere',
  ])
})
