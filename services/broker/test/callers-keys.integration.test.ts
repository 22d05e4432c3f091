import { randomBytes } from 'node:crypto'
import { expect } from 'vitest'
import { makeKeys, readToken, spawnTestBroker, startTestBroker } from './harness.ts'
import { openPlainConnection } from './connection-scene.ts'
import { eventsOf, test } from './handshake-scene.ts'
import { type RawHeader, sendRaw } from './raw-http.ts'

type KeyCase = readonly [name: string, headers: (key: string) => readonly RawHeader[], status: number]

const header = (value: string | Buffer): RawHeader => ['X-API-Key', value]

const matrix: readonly KeyCase[] = [
  ['the key', (key) => [header(key)], 200],
  ['another spelling of the header', (key) => [['x-aPi-kEy', key]], 200],
  // RFC 9110 §5.5: white space around a value is none of it, and no server gets to see it
  ['white space around it', (key) => [header(`  ${key}\t`)], 200],
  ['no header', () => [], 401],
  ['an empty header', () => [header('')], 401],
  ['white space alone', () => [header('   ')], 401],
  ['the key twice', (key) => [header(key), header(key)], 401],
  ['the key and then another', (key) => [header(key), header('x')], 401],
  ['another and then the key', (key) => [header('x'), header(key)], 401],
  ['an empty one and then the key', (key) => [header(''), header(key)], 401],
  ['two joined by a comma', (key) => [header(`${key},${key}`)], 401],
  ['quotes', (key) => [header(`"${key}"`)], 401],
  ['a no-break space behind it', (key) => [header(Buffer.concat([Buffer.from(key), Buffer.from([0xa0])]))], 401],
  ['one character more', (key) => [header(`${key}0`)], 401],
  ['one character less', (key) => [header(key.slice(0, -1))], 401],
  ['another case', (key) => [header(key.toUpperCase())], 401],
  ['a wrong one of the same length', (key) => [header('0'.repeat(key.length))], 401],
  ['eight thousand characters', (key) => [header(key + 'x'.repeat(8000))], 401],
  ['the key as a bearer token', (key) => [['Authorization', `Bearer ${key}`]], 401],
  ['the key as a cookie', (key) => [['Cookie', `X-API-Key=${key}`]], 401],
]

test.for(matrix)('[C1] %s', async ([name, headers, expected], { broker }) => {
  // a key with letters in it, so that another case is another key
  const key = broker.keys.API_KEY
  const { status, head, body } = await sendRaw(broker.url, { path: '/connections', headers: headers(key) })
  expect(status).toBe(expected)
  if (expected !== 401) return
  const isMissing = !headers(key).some(([field]) => field.toLowerCase() === 'x-api-key')
  const { code, message, details } = JSON.parse(body)
  const said = isMissing
    ? { code: 'missing_api_key', message: 'Send the API key as X-API-Key.' }
    : { code: 'invalid_api_key', message: 'The API key is not valid.' }
  expect({ code, message, details }, `${name}: every wrong key gets the same body`).toEqual(said)
  expect(head).toMatch(/cache-control: no-store/i)
  expect(head).not.toMatch(/www-authenticate/i)
})

test('[C1] the key does not go into the query', async ({ broker }) => {
  const { status } = await broker.get(`/connections?api_key=${broker.keys.API_KEY}`, { key: undefined })
  expect(status).toBe(401)
})

test.for([
  ['Bearer', 200],
  ['bearer', 200],
  ['Basic', 401],
  ['', 401],
] as const)(
  'scrapers may show the key as %s token, at /metrics and /openapi.json only',
  async ([scheme, expected], { broker }) => {
    const authorization = `${scheme} ${broker.keys.ADMIN_API_KEY}`.trim()
    for (const path of ['/metrics', '/openapi.json']) {
      const { status } = await broker.get(path, { key: undefined, headers: { authorization } })
      expect(status, path).toBe(expected)
    }
    const elsewhere = await broker.get('/providers', { key: undefined, headers: { authorization } })
    expect(elsewhere.status).toBe(401)
  },
)

test('[C1] all keys of a list open, for rotation', async ({ database, broker }) => {
  const [first, second] = [randomBytes(32).toString('hex'), randomBytes(32).toString('hex')]
  const keys = { ...broker.keys, API_KEY: `${first}, ${second}` }
  await using rotating = await startTestBroker(database, { keys })
  for (const key of [first, second]) expect((await rotating.get('/connections', { key })).status).toBe(200)
  for (const key of [`${first}, ${second}`, broker.keys.API_KEY]) {
    expect((await rotating.get('/connections', { key })).status).toBe(401)
  }
})

test.for([
  ['a sample value', { API_KEY: 'change-me-change-me-change-me-change-me' }],
  ['a short value', { API_KEY: 'abcdefgh' }],
  ['one good and one short value', { API_KEY: `${makeKeys().API_KEY},short` }],
  ['no value', { API_KEY: '' }],
] as const)('[C1] %s refuses to start, and is not shown', async ([, change], { database }) => {
  const starting = startTestBroker(database, { keys: { ...makeKeys(), ...change } })
  const error = await starting.then(
    () => undefined,
    (failure: unknown) => failure,
  )
  expect(String(error)).toMatch(/API_KEY/)
  for (const value of change.API_KEY.split(',').filter(Boolean)) expect(String(error)).not.toContain(value)
})

test('the operator key may not be one of the API keys: exit code 1 and one clear line', async ({ database }) => {
  const keys = makeKeys()
  const same = { ...keys, ADMIN_API_KEY: keys.API_KEY }
  const error = await spawnTestBroker(database, { keys: same }).then(
    () => undefined,
    (failure: unknown) => failure,
  )
  expect(String(error)).toContain('ADMIN_API_KEY: must not be equal to an API_KEY')
  expect(String(error)).not.toContain(keys.API_KEY)
})

type Forwarded = readonly [name: string, trusted: string, headers: readonly string[], address: string]

const forwarded: readonly Forwarded[] = [
  ['from nobody trusted', '', ['203.0.113.7'], '127.0.0.1'],
  ['from a trusted proxy', '127.0.0.1/32', ['203.0.113.7'], '203.0.113.7'],
  ['forged in front of a trusted proxy', '127.0.0.1/32', ['1.1.1.1, 203.0.113.7'], '203.0.113.7'],
  ['through two trusted proxies', '127.0.0.1/32,10.0.0.0/8', ['1.1.1.1, 203.0.113.7, 10.1.1.1'], '203.0.113.7'],
  ['in several headers', '127.0.0.1/32,10.0.0.0/8', ['1.1.1.1, 203.0.113.7', '10.1.1.1'], '203.0.113.7'],
  ['with junk', '127.0.0.1/32', ['203.0.113.7, <script>'], '127.0.0.1'],
  ['IPv4-mapped', '127.0.0.1/32', ['::ffff:203.0.113.7'], '203.0.113.7'],
]

test.for(forwarded)('[C3] X-Forwarded-For %s', async ([name, trusted, headers, address], { database, broker }) => {
  const { id } = await openPlainConnection(broker)
  await using behind = await startTestBroker(database, { env: { TRUSTED_PROXIES: trusted } })
  const { status } = await sendRaw(behind.url, {
    path: `/connections/${id}/token`,
    headers: [header(behind.keys.API_KEY), ...headers.map((value): RawHeader => ['X-Forwarded-For', value])],
  })
  expect(status, name).toBe(200)
  expect((await eventsOf(broker, id)).at(-1)).toMatchObject({ event: 'token_retrieved', address })
  expect((await readToken(broker, id)).status).toBe(200)
})
