import { randomBytes } from 'node:crypto'
import { type TestDatabase, createTestDatabase } from '@nexus/testing'
import { expect, inject, onTestFinished, test } from 'vitest'
import { callCommand } from './broker-command.ts'
import { openPlainConnection } from './connection-scene.ts'
import { checksumTables, waitForBlocked, whileLocked } from './database-tools.ts'
import { type Keys, makeKeys, readToken, spawnTestBroker, startTestBroker } from './harness.ts'
import { idOf } from './keys-scene.ts'

const newKey = (): string => randomBytes(32).toString('base64')

/** A migrated database for each test, because which keys may seal is its first row; or one with nothing in it. */
async function openDatabase(content: 'migrated' | 'empty' = 'migrated'): Promise<TestDatabase> {
  const template = content === 'migrated' ? inject('postgresTemplate') : undefined
  const database = await createTestDatabase(inject('postgresUrl'), template)
  onTestFinished(database.drop)
  return database
}

/** Why a Broker does not start, in its own words. */
async function startFailure(database: TestDatabase, env: Record<string, string>, keys: Keys): Promise<string> {
  const broker = await startTestBroker(database, { env, keys }).catch((error: unknown) => String(error))
  if (typeof broker === 'string') return broker
  await broker[Symbol.asyncDispose]()
  throw new Error('the Broker started')
}

test('[V2] a key that is not the one of this database stops the start, and nothing is written', async () => {
  const database = await openDatabase()
  const keys = makeKeys()
  let id = ''
  {
    await using broker = await startTestBroker(database, { keys })
    id = (await openPlainConnection(broker)).id
  }
  const before = await checksumTables(database.pool)
  const message = await startFailure(database, {}, { ...keys, ENCRYPTION_KEY: newKey() })
  expect(message).toMatch(/this database needs the key with the id [\da-f]{8} \(1 client secrets, 1 tokens\)/)
  expect(message).toContain('ENCRYPTION_KEYS_EXTRA')
  expect(message).not.toContain(keys.ENCRYPTION_KEY)
  expect(await checksumTables(database.pool)).toEqual(before)

  await using broker = await startTestBroker(database, { keys })
  expect((await readToken(broker, id)).status, 'the right key still works').toBe(200)
})

test('[V2] a new key may not seal before it is registered, even while the old one opens', async () => {
  const database = await openDatabase()
  const keys = makeKeys()
  await (await startTestBroker(database, { keys }))[Symbol.asyncDispose]()
  const before = await checksumTables(database.pool)
  const env = { ENCRYPTION_KEYS_EXTRA: keys.ENCRYPTION_KEY }
  const message = await startFailure(database, env, { ...keys, ENCRYPTION_KEY: newKey() })
  expect(message).toMatch(/ENCRYPTION_KEY \(id [\da-f]{8}\) is not registered in this database, so it may not seal/)
  expect(await checksumTables(database.pool)).toEqual(before)
})

test('[V2] a registered key that is missing stops the start, even with no row sealed by it', async () => {
  const database = await openDatabase()
  const keys = makeKeys()
  await (await startTestBroker(database, { keys }))[Symbol.asyncDispose]()
  const message = await startFailure(database, {}, { ...keys, ENCRYPTION_KEY: newKey() })
  expect(message).toContain('(no rows yet)')
})

test('[V2] another key that pretends to have the same id fails at the canary', async () => {
  const database = await openDatabase()
  const [mine, theirs] = [makeKeys(), makeKeys()]
  await (await startTestBroker(database, { keys: mine }))[Symbol.asyncDispose]()
  const other = await openDatabase()
  await (await startTestBroker(other, { keys: theirs }))[Symbol.asyncDispose]()
  const { rows } = await other.pool.query('select key_id from encryption_keys')
  await database.pool.query('update encryption_keys set key_id = $1', [rows[0].key_id])
  expect(await startFailure(database, {}, theirs)).toMatch(/is not the one this database was sealed with/)
})

test.for([
  ['missing', ''],
  ['too short', randomBytes(16).toString('base64')],
  ['no base64', 'not base64!'],
  ['a sample', Buffer.alloc(32).toString('base64')],
] as const)('[V2] an ENCRYPTION_KEY that is %s stops the start before the database is touched', async ([, key]) => {
  const database = await openDatabase('empty')
  expect(await startFailure(database, {}, { ...makeKeys(), ENCRYPTION_KEY: key })).toContain('ENCRYPTION_KEY')
  const { rows } = await database.pool.query(`select from pg_class where relnamespace = 'public'::regnamespace`)
  expect(rows).toEqual([])
})

test('[V2] extra keys open what they sealed, and never seal', async () => {
  const database = await openDatabase()
  const [old, next] = [makeKeys(), newKey()]
  let id = ''
  {
    await using broker = await startTestBroker(database, { keys: old })
    id = (await openPlainConnection(broker)).id
  }
  const added = await callCommand(['keys', 'add'], {
    DATABASE_URL: database.url,
    ENCRYPTION_KEY: next,
    ENCRYPTION_KEYS_EXTRA: old.ENCRYPTION_KEY,
  })
  expect(added.exitCode).toBe(0)

  const env = { ENCRYPTION_KEYS_EXTRA: old.ENCRYPTION_KEY }
  await using broker = await startTestBroker(database, { env, keys: { ...old, ENCRYPTION_KEY: next } })
  expect((await readToken(broker, id)).status).toBe(200)
  await broker.post(`/connections/${id}/refresh`)
  const { rows: sealed } = await database.pool.query('select key_id from tokens where connection_id = $1', [id])
  expect(sealed[0].key_id.toString('hex'), 'sealed anew by the primary key').toBe(idOf(next))
})

test('[V2] an extra key that goes away at run time is key_unavailable, not damage', async () => {
  const database = await openDatabase()
  const keys = makeKeys()
  await using broker = await startTestBroker(database, { keys })
  const { id } = await openPlainConnection(broker)
  await database.pool.query(
    `update tokens set key_id = '\\x01020304', credentials = overlay(credentials placing '\\x01020304' from 2)`,
  )
  const answer = await readToken(broker, id)
  expect(answer).toMatchObject({ status: 503, body: { code: 'key_unavailable' } })
  expect(answer.headers.get('retry-after')).not.toBeNull()
})

test('[V2] however closely they meet, one key is registered', async () => {
  const database = await openDatabase()
  // inserts wait while the lock is held: both have found no key before the first one is there
  const { starting } = await whileLocked(database.pool, 'lock table encryption_keys in share mode', async () => {
    // in production: a Broker that migrates would wait for the other's lock before it looks for keys
    const env = { NODE_ENV: 'production' }
    const started = [1, 2].map(() => startTestBroker(database, { env, keys: makeKeys() }))
    await waitForBlocked(database.pool, 2)
    return { starting: started }
  })
  const outcomes = await Promise.allSettled(starting)
  for (const outcome of outcomes) {
    if (outcome.status === 'fulfilled') await outcome.value[Symbol.asyncDispose]()
  }
  expect(outcomes.map(({ status }) => status).toSorted()).toEqual(['fulfilled', 'rejected'])
  const { rows } = await database.pool.query('select from encryption_keys')
  expect(rows).toHaveLength(1)
})

test('[V2] of two Brokers with different keys on an empty database exactly one starts, and the other says why', async () => {
  const database = await openDatabase('empty')
  const outcomes = await Promise.allSettled([1, 2].map(() => spawnTestBroker(database, { keys: makeKeys() })))
  const started = outcomes.filter((outcome) => outcome.status === 'fulfilled')
  const refused = outcomes.filter((outcome) => outcome.status === 'rejected')
  expect([started.length, refused.length]).toEqual([1, 1])
  for (const { value: broker } of started) {
    onTestFinished(() => broker[Symbol.asyncDispose]())
    expect((await broker.get('/connections')).status).toBe(200)
    expect(await broker.stop()).toEqual({ exitCode: 0, signal: null })
  }
  const said = String(refused[0]?.reason)
  expect(said).toMatch(/nexus-broker cannot start: this database needs the key with the id [\da-f]{8}/)
  const { rows } = await database.pool.query('select from encryption_keys')
  expect(rows).toHaveLength(1)
})
