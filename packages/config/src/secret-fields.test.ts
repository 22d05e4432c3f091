import { createHash, randomBytes } from 'node:crypto'
import { expect, test } from 'vitest'
import type { z } from 'zod'
import {
  apiKey,
  apiKeyList,
  keyList32,
  optionalKey32,
  requiredKey32,
  secretUrl,
  webhookSecretList,
} from './secret-fields.ts'

function faultOf(field: z.ZodType, entered: string | undefined): string | undefined {
  return field.safeParse(entered).error?.issues[0]?.message
}

/** Bytes that look random, yet are the same in every run. */
const someBytes = (seed: string) => createHash('sha256').update(seed).digest()

test('a key is taken in base64 and base64url, padded or not', () => {
  const bytes = someBytes('case 20')
  const spellings = [bytes.toString('base64'), bytes.toString('base64url')]
  expect(spellings[0], 'the case needs both alphabets').toMatch(/[+/]/)
  for (const spelling of [...spellings, ...spellings.map((text) => text.replace('=', '')), `${spellings[1]}=`]) {
    expect(requiredKey32().parse(spelling).reveal(), spelling).toEqual(bytes)
  }
})

test('a key of another length or spelling is refused', () => {
  const canonical = someBytes('case 20').toString('base64')
  const message = 'must be exactly 32 bytes in base64 (make one with: openssl rand -base64 32)'
  const wrong = [
    randomBytes(31).toString('base64'),
    randomBytes(33).toString('base64'),
    randomBytes(32).toString('hex'),
    `${canonical}=`,
    ` ${canonical}`,
    `${canonical}\n`,
    canonical.replace(/(.)=$/, (_, last: string) => `${String.fromCharCode(last.charCodeAt(0) + 1)}=`),
    canonical.slice(0, 10) + '!' + canonical.slice(10),
    canonical.replace('+', '-'),
    'short',
  ]
  for (const entered of wrong) expect(faultOf(requiredKey32(), entered), entered).toBe(message)
})

test('a key that nobody drew at random is refused', () => {
  const counting = Buffer.from(Array.from({ length: 32 }, (_, index) => index))
  const halves = Buffer.concat([someBytes('half').subarray(0, 16), someBytes('half').subarray(0, 16)])
  const weak = [
    Buffer.alloc(32),
    Buffer.alloc(32, 7),
    Buffer.alloc(32, 255),
    counting,
    counting.toReversed(),
    halves,
    Buffer.alloc(32, 'ab'),
    Buffer.from('my very own passphrase, 32 chars'),
    Buffer.from('0123456789abcdef0123456789abcdef'),
  ].map((bytes) => Buffer.from(bytes).toString('base64'))
  for (const entered of [...weak, 'changeme/changeme/changeme/changeme/changeU=']) {
    expect(faultOf(requiredKey32(), entered), entered).toMatch(/^(is a sample value or not random|must be exactly)/)
  }
  for (const entered of weak) expect(faultOf(requiredKey32(), entered), entered).toMatch(/^is a sample value/)
})

test('random keys are never taken for samples', () => {
  for (let round = 0; round < 1000; round++) {
    const bytes = someBytes(`round ${round}`)
    expect(faultOf(requiredKey32(), bytes.toString('base64'))).toBeUndefined()
    expect(faultOf(apiKey(), bytes.toString('base64url'))).toBeUndefined()
    expect(faultOf(apiKey(), bytes.toString('hex').slice(0, 32))).toBeUndefined()
  }
})

test('keys that may be missing', () => {
  expect(optionalKey32().parse(undefined)).toBeUndefined()
  expect(keyList32().parse(undefined)).toEqual([])
  const keys = ['a', 'b'].map((seed) => someBytes(seed))
  const list = keyList32().parse(keys.map((bytes) => bytes.toString('base64')).join(', '))
  expect(list.map((secret) => secret.reveal())).toEqual(keys)
  expect(faultOf(keyList32(), `${keys[0]?.toString('base64')},${Buffer.alloc(32).toString('base64')}`)).toMatch(
    /sample/,
  )
})

test('[C1] an API key that is a sample value refuses to start', () => {
  const samples = [
    'changeme',
    'CHANGE_ME_CHANGE_ME_CHANGE_ME_CHANGE_ME',
    'your-api-key-here-at-least-32-characters',
    'your_super_secret_api_key_goes_here_1234',
    'example-api-key-3f9d2c71b8e64a05d7c1e2f3',
    'replace-with-a-long-random-string-please',
    'dev-secret-key-change-in-production-1234',
    'generate-with-openssl-rand-base64-32-abc',
    '<run: openssl rand -base64 32 and paste>',
    'a'.repeat(40),
    'ab'.repeat(20),
    '0123456789abcdef0123456789abcdef',
    '0123456789abcdefghijklmnopqrstuvwxyz',
    'zyxwvutsrqponmlkjihgfedcba9876543210',
    'password1234password1234password1234',
    '11111111222222223333333344444444',
  ]
  for (const sample of samples) expect(faultOf(apiKey(), sample), sample).toMatch(/^is a sample value or not random/)
})

test('an API key is long enough and fits into a header and a list', () => {
  const good = someBytes('good').toString('hex')
  expect(apiKey().parse(good).reveal()).toBe(good)
  expect(faultOf(apiKey(), undefined)).toMatch(/^is required \(make one with: openssl rand -base64 32\)$/)
  expect(faultOf(apiKey(), good.slice(0, 31))).toMatch(/^must have at least 32 characters/)
  expect(faultOf(apiKey(), good.repeat(9).slice(0, 500) + someBytes('tail').toString('hex'))).toMatch(/at most 512/)
  for (const bad of [
    `"${good}"`,
    `'${good}'`,
    `${good} `,
    `${good},${good.slice(1)}`,
    `${good}é`,
    `${good}\n`,
    `<${good}>`,
  ]) {
    expect(faultOf(apiKey(), bad), bad).toMatch(/^must not contain/)
  }
})

test('a list of API keys has at least one, and each is checked', () => {
  const [first = '', second = ''] = ['first', 'second'].map((seed) => someBytes(seed).toString('hex'))
  const list = apiKeyList().parse(` ${first} , ${second},`)
  expect(list.map((secret) => secret.reveal())).toEqual([first, second])
  expect(faultOf(apiKeyList(), ' , ')).toMatch(/^is required/)
  const { error } = apiKeyList().safeParse(`${first},changeme,short`)
  expect(error?.issues.map((issue) => issue.path)).toEqual([[1], [2]])
})

test('secretUrl', () => {
  const field = secretUrl(['postgres', 'postgresql'])
  expect(field.parse('postgres://u:p@h/db?sslmode=require').reveal()).toBe('postgres://u:p@h/db?sslmode=require')
  expect(secretUrl(['redis', 'rediss', 'memory']).parse('memory://').reveal()).toBe('memory://')
  for (const wrong of ['mysql://h/db', 'postgres:', ' postgres://h', 'h/db']) {
    expect(faultOf(field, wrong)).toBe('must be a URL that begins with postgres:// or postgresql://')
  }
  expect(String(field.parse('postgres://u:canary@h/db'))).not.toContain('canary')
})

test('a list of webhook secrets has at least one, and each is checked', () => {
  const [first, second] = ['webhook', 'its successor'].map((seed) => someBytes(seed))
  const write = (bytes: Buffer | undefined) => `whsec_${bytes?.toString('base64')}`
  const field = webhookSecretList()
  expect(field.parse(write(first)).map((secret) => secret.reveal())).toEqual([first])
  expect(field.parse(`${write(first)}, ${write(second)}`).map((secret) => secret.reveal())).toEqual([first, second])
  for (const wrong of [first?.toString('base64'), 'whsec_', write(first?.subarray(0, 23))]) {
    expect(faultOf(field, wrong), wrong).toMatch(/^must be whsec_ and 24 to 64 bytes in base64/)
    const { error } = field.safeParse(`${write(second)},${wrong}`)
    expect(error?.issues.map((issue) => issue.path)).toEqual([[1]])
  }
  expect(faultOf(field, write(Buffer.alloc(32)))).toMatch(/^is a sample value/)
  expect(faultOf(field, ' , ')).toMatch(/^is required/)
})
