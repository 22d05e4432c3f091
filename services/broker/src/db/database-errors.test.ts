import { isAppError } from '@nexus/service'
import { expect, test } from 'vitest'
import { isBadData, isDatabaseAway, isUniqueViolation, translateDatabaseError } from './database-errors.ts'

const failure = (fields: object, message = 'failed') => Object.assign(new Error(message), fields)

test.each([
  ['refused connection', failure({ code: 'ECONNREFUSED' })],
  ['shutdown by an administrator', failure({ code: '57P01' })],
  ['starting up', failure({ code: '57P03' })],
  ['statement timeout', failure({ code: '57014' })],
  ['too many connections', failure({ code: '53300' })],
  ['a standby', failure({ code: '25006' })],
  ['deadlock', failure({ code: '40P01' })],
  ['a lock not to be had', failure({ code: '55P03' })],
  ['a connection lost in mid-air', failure({}, 'Connection terminated unexpectedly')],
  ['a pool that is full', failure({}, 'timeout exceeded when trying to connect')],
  ['all addresses of a name', new AggregateError([failure({ code: 'ECONNREFUSED' }), failure({ code: 'ETIMEDOUT' })])],
  ['a partition that does not exist yet', failure({ code: '23514', table: 'audit_reads' })],
])('[R4] %s means away: 503 with Retry-After', (_, error) => {
  expect(isDatabaseAway(error)).toBe(true)
  expect(isBadData(error)).toBe(false)
  const translated = translateDatabaseError(error)
  if (!isAppError(translated)) throw new Error('not translated')
  expect(translated).toMatchObject({ code: 'unavailable', cause: error })
  expect(translated.retryAfterSeconds).toBeGreaterThan(0)
})

test.each([
  ['bad text', failure({ code: '22021' }), true],
  ['a violated check', failure({ code: '23514', constraint: 'connections_status_check' }), true],
  ['a missing table', failure({ code: '42P01' }), false],
  ['a missing privilege', failure({ code: '42501' }), false],
  ['some addresses only', new AggregateError([failure({ code: 'ECONNREFUSED' }), new Error('else')]), false],
  ['a bug', new TypeError('undefined is not a function'), false],
])('%s stays what it is', (_, error, isBad) => {
  expect(isDatabaseAway(error)).toBe(false)
  expect(isBadData(error)).toBe(isBad)
  expect(translateDatabaseError(error)).toBe(error)
})

test('a unique violation is told by its constraint', () => {
  const error = failure({ code: '23505', constraint: 'provider_profiles_living_name' })
  expect(isUniqueViolation(error, 'provider_profiles_living_name')).toBe(true)
  expect(isUniqueViolation(error, 'another')).toBe(false)
})
