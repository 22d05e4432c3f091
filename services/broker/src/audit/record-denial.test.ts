import { createLogger, createRateLimiter } from '@nexus/service'
import { captureLogs } from '@nexus/testing'
import { expect, test } from 'vitest'
import type { Queryable } from '../db/database.ts'
import { type Denial, createDenialRecorder } from './record-denial.ts'

const denial: Denial = {
  origin: {
    actorKind: 'gateway',
    actorId: undefined,
    address: '192.0.2.1',
    userAgent: 'a\0b',
    requestId: 'request-1',
  },
  outcome: 'invalid_api_key',
  connectionId: undefined,
  method: 'GET',
  route: '/connections/:id',
}

/** A recorder before a database that remembers what was inserted, or fails. */
function openScene(database?: Queryable) {
  const inserted: (readonly unknown[])[] = []
  const logs = captureLogs()
  const remembering: Queryable = {
    async query(statement) {
      inserted.push(statement.values)
      return []
    },
  }
  const record = createDenialRecorder({
    database: database ?? remembering,
    createId: () => '019ab000-0000-7000-8000-000000000001',
    logger: createLogger({ level: 'trace', service: 'test', destination: logs }),
    limiter: createRateLimiter({ perMinute: 3, prefix: '', now: () => 0 }),
  })
  return { inserted, logs, record }
}

const aMoment = (): Promise<void> => new Promise((resolve) => void setImmediate(resolve))

test('[A2] a refused call is recorded with its outcome, and its text cleaned', async () => {
  const { inserted, record } = openScene()
  record(denial)
  await aMoment()
  expect(inserted).toHaveLength(1)
  expect(inserted[0]).toEqual(expect.arrayContaining(['access.denied', 'invalid_api_key', '192.0.2.1', 'ab']))
})

test('[A2] an address that knocks without end fills no audit, and keeps no other one out', async () => {
  const { inserted, record } = openScene()
  for (let n = 0; n < 50; n++) record(denial)
  record({ ...denial, origin: { ...denial.origin, address: '192.0.2.2' } })
  await aMoment()
  expect(inserted.filter((values) => values.includes('192.0.2.1'))).toHaveLength(3)
  expect(inserted.filter((values) => values.includes('192.0.2.2'))).toHaveLength(1)
})

test('a record that cannot be written is logged, and fails nothing', async () => {
  const { logs, record } = openScene({ query: () => Promise.reject(new Error('away')) })
  record(denial)
  await logs.waitFor(({ msg }) => msg === 'a refused call could not be recorded')
  expect(logs.lines()).toMatchObject([{ level: 'warn', outcome: 'invalid_api_key' }])
})
