import { test as base } from '@nexus/testing/vitest'
import { expect } from 'vitest'
import { dumpTables } from './database-tools.ts'
import { spawnTestBroker } from './harness.ts'
import { findLeaks, liveThrough } from './leak-scene.ts'

/** A Broker in a process of its own, at level trace, and everything that its life left behind. */
const test = base.extend('left', { scope: 'file' }, async ({ database, redis }, { onCleanup }) => {
  const broker = await spawnTestBroker(database, { env: { LOG_LEVEL: 'trace', REDIS_URL: redis.url } })
  onCleanup(() => broker[Symbol.asyncDispose]())
  const life = await liveThrough(broker, database.pool)
  const metrics = (await broker.get('/metrics')).text
  const dump = await dumpTables(database.pool)
  const redisDump = await redis.dump()
  expect(await broker.stop()).toEqual({ exitCode: 0, signal: null })
  return { ...life, metrics, dump, redisDump, output: broker.output() }
})

test('the life was a full one', ({ left }) => {
  expect(left.secrets.size).toBeGreaterThan(40)
  const kinds = [...left.secrets.values()].join(' ')
  for (const kind of ['access-', 'refresh-', 'code-', 'ey', 'canary-client-secret']) expect(kinds).toContain(kind)
  expect(
    [...left.secrets.keys()].filter((name) => /verifier|ticket|state of|nonce of/.test(name)).length,
  ).toBeGreaterThan(8)
  const brought = [...left.secrets].filter(([name]) => /^(completion|held) code of/.test(name))
  expect(brought.map(([, secret]) => secret.length > 8)).toEqual(Array.from({ length: 8 }, () => true))
  expect(left.output).toContain('"level":"debug"')
  for (const event of [
    'oauth_flow_completed',
    'token_refresh_fatal',
    'id_token_verification_failed',
    'oauth_error',
    'credential_captured',
    'not_accepted',
    'not_verifiable',
    'invalid_credentials',
    'connection.held',
    'connection.completed',
    'completion_refused',
  ]) {
    expect(left.dump).toContain(event)
  }
})

test('[L1] no secret stands in anything the process wrote', ({ left }) => {
  expect(left.output.split('\n').length).toBeGreaterThan(80)
  expect(findLeaks(left.output, left.secrets)).toEqual([])
})

test('[L1] [P5] no secret, and no text of a provider, stands in an answer', ({ left }) => {
  for (const answer of left.answers) expect(findLeaks(answer, left.secrets), answer.slice(0, 300)).toEqual([])
})

test('[L1] no secret stands in the metrics', ({ left }) => {
  expect(left.metrics).toContain('nexus_refreshes_total')
  expect(findLeaks(left.metrics, left.secrets)).toEqual([])
})

test('[V3] a dump of the database shows no secret, in no encoding', ({ left }) => {
  expect(left.dump).toContain('provider_profiles')
  expect(findLeaks(left.dump, left.secrets)).toEqual([])
})

test('[L2] Redis holds counters, and nothing else', ({ left }) => {
  expect(left.redisDump, 'there is something to look at').not.toBe('')
  for (const line of left.redisDump.split('\n')) {
    expect(line).toMatch(/^nexus:broker:auth:\d+:[\w-]{22} \(string, ttl \d+\): \d+$/)
  }
  expect(findLeaks(left.redisDump, left.secrets)).toEqual([])
})

test('the search finds what it looks for', ({ left }) => {
  const secret = 'planted-secret-of-this-test'
  const secrets = new Map([['planted', secret]])
  const bytes = Buffer.from(secret)
  for (const text of [secret, bytes.toString('hex'), bytes.toString('base64'), encodeURIComponent(secret)]) {
    expect(findLeaks(`before ${text} after`, secrets)).not.toEqual([])
  }
  expect(findLeaks(left.output, new Map([['a request id label', 'request_id']]))).not.toEqual([])
})
