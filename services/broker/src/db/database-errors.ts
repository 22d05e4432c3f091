import { AppError } from '@nexus/service'

const awayNodeCodes = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'EPIPE',
  'ETIMEDOUT',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ENOTFOUND',
  'EAI_AGAIN',
])

// 08 connection, 53 resources, 57 operator intervention (shutdown, starting up, statement timeout), 58 system;
// 40 serialization and deadlock; 25006 a primary that became a standby; 55P03 a lock not to be had in time
const awaySqlStates = /^(08|53|57|58|40)...$|^25006$|^55P03$/

// pg reports these without a code
const awayMessages =
  /^(Connection terminated|timeout exceeded when trying to connect|Query read timeout|Client has encountered a connection error|Client was closed)/

function codeOf(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined
}

/** True where the database is away or overloaded, so that the same statement may succeed later. */
export function isDatabaseAway(error: unknown): boolean {
  const code = codeOf(error)
  if (hasNoPartition(error)) return true
  if (code !== undefined && (awayNodeCodes.has(code) || awaySqlStates.test(code))) return true
  if (error instanceof AggregateError && error.errors.length > 0) return error.errors.every(isDatabaseAway)
  return error instanceof Error && awayMessages.test(error.message)
}

/** True where the server could not be reached or went away, as against one that is there and refuses or is slow. */
export function isConnectionLost(error: unknown): boolean {
  const code = codeOf(error)
  if (code !== undefined && (awayNodeCodes.has(code) || /^(08...|57P0[1-3]|25006)$/.test(code))) return true
  if (error instanceof AggregateError && error.errors.length > 0) return error.errors.every(isConnectionLost)
  return error instanceof Error && awayMessages.test(error.message)
}

/** True for SQLSTATE 22 (data) and 23 (integrity): the statement's own content is at fault. */
export function isBadData(error: unknown): boolean {
  return /^2[23]...$/.test(codeOf(error) ?? '') && !hasNoPartition(error)
}

/**
 * PostgreSQL reports a row for which no partition exists as a violated check that has no name. No row is to blame: all
 * would fail until the sweeper has made the partition.
 */
function hasNoPartition(error: unknown): boolean {
  if (codeOf(error) !== '23514' || !(error instanceof Error)) return false
  return !('constraint' in error) || error.constraint === undefined
}

export function isUniqueViolation(error: unknown, constraint: string): boolean {
  return codeOf(error) === '23505' && error instanceof Error && 'constraint' in error && error.constraint === constraint
}

/** The one border where errors of `pg` become ours: away is 503 with Retry-After, anything else stays what it is (R4). */
export function translateDatabaseError(error: unknown): unknown {
  return isDatabaseAway(error)
    ? new AppError('unavailable', 'The database cannot be reached right now; try again shortly.', {
        cause: error,
        retryAfterSeconds: 2,
      })
    : error
}
