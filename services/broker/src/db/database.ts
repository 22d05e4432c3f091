import { AppError } from '@nexus/service'
import pg from 'pg'
import { isConnectionLost, translateDatabaseError } from './database-errors.ts'
import type { Sql } from './sql.ts'

/** Runs statements; outside a transaction each one is its own. */
export type Queryable = {
  /** @throws AppError `unavailable` where the database is away; pg's own error where the statement is at fault. */
  query<Row extends pg.QueryResultRow>(statement: Sql): Promise<readonly Row[]>
}

export type Database = Queryable & {
  /** Runs `work` between BEGIN and COMMIT on one connection. Never call a provider inside (R8). */
  transaction<Result>(work: (transaction: Queryable) => Promise<Result>): Promise<Result>
  close(): Promise<void>
  readonly waiting: () => number
  readonly connections: () => number
  /** Milliseconds since a lost database answered again; 0 while it is away, Infinity where it never was. */
  readonly msSinceRegained: () => number
}

export type DatabaseOptions = {
  readonly url: string
  readonly maxConnections: number
  readonly statementTimeoutMs: number
  readonly applicationName: string
  /** False behind a transaction pooler that does not carry prepared statements along. */
  readonly keepsPrepared: boolean
  readonly onIdleError: (error: Error) => void
}

// beyond this many waiting for a connection, more waiting only turns a slow answer into a timeout (R8)
const maxWaiting = 500
const connectTimeoutMs = 5_000

/** Opens the pool. Connects lazily: a database that is away at the start is a 503 later, not a crash. */
export function openDatabase(options: DatabaseOptions): Database {
  const pool = new pg.Pool({
    connectionString: options.url,
    max: options.maxConnections,
    connectionTimeoutMillis: connectTimeoutMs,
    // a server that vanished without a word is noticed by the client's own clock
    query_timeout: options.statementTimeoutMs + 5_000,
    application_name: options.applicationName,
    keepAlive: true,
    // the pool waits for what this returns, whatever its type says
    onConnect: (client): unknown => prepareSession(client, options.statementTimeoutMs),
  })
  pool.on('error', options.onIdleError)

  const refuseWhenFull = (): void => {
    if (pool.waitingCount >= maxWaiting) {
      throw new AppError('unavailable', 'The service is overloaded; try again shortly.', { retryAfterSeconds: 1 })
    }
  }

  const watch = watchConnection()

  return {
    async query<Row extends pg.QueryResultRow>(statement: Sql) {
      refuseWhenFull()
      return watch.note(runOn<Row>(pool, statement, options.keepsPrepared))
    },
    async transaction(work) {
      refuseWhenFull()
      const client = await watch.note(pool.connect().catch(rethrow))
      return watch.note(inTransaction(client, work, options.keepsPrepared))
    },
    msSinceRegained: watch.msSinceRegained,
    close: () => pool.end(),
    waiting: () => pool.waitingCount,
    connections: () => pool.totalCount,
  }
}

/** Notes when the database was lost, and when it answered again. */
function watchConnection() {
  let lostAt: number | undefined
  let regainedAt = Number.NEGATIVE_INFINITY
  return {
    msSinceRegained: () => (lostAt === undefined ? performance.now() - regainedAt : 0),
    async note<Result>(work: Promise<Result>): Promise<Result> {
      const began = performance.now()
      try {
        const result = await work
        // what was asked before the loss says nothing of now
        if (lostAt !== undefined && began > lostAt) {
          lostAt = undefined
          regainedAt = performance.now()
        }
        return result
      } catch (error) {
        const cause: unknown = error instanceof AppError ? error.cause : error
        if (isConnectionLost(cause)) lostAt = performance.now()
        throw error
      }
    },
  }
}

/** By SET and not as startup parameters, which transaction poolers refuse. */
async function prepareSession(client: pg.ClientBase, timeoutMs: number): Promise<void> {
  await client.query(
    `set statement_timeout = ${timeoutMs}; set idle_in_transaction_session_timeout = ${timeoutMs}; ` +
      "set synchronous_commit = on; set timezone = 'UTC'",
  )
}

function rethrow(error: unknown): never {
  throw translateDatabaseError(error)
}

async function runOn<Row extends pg.QueryResultRow>(
  target: pg.Pool | pg.PoolClient,
  { text, values, name }: Sql,
  keepsPrepared: boolean,
): Promise<readonly Row[]> {
  const named = name !== undefined && keepsPrepared ? { name } : {}
  const result = await target.query<Row>({ ...named, text, values: [...values] }).catch(rethrow)
  return result.rows
}

// the statement in hand fails of a lost connection too; an event that nobody hears would end the process
function ignoreLoss(): void {}

async function inTransaction<Result>(
  client: pg.PoolClient,
  work: (transaction: Queryable) => Promise<Result>,
  keepsPrepared: boolean,
): Promise<Result> {
  client.on('error', ignoreLoss)
  try {
    await client.query('begin')
    const result = await work({ query: (statement) => runOn(client, statement, keepsPrepared) })
    await client.query('commit')
    client.release()
    return result
  } catch (error) {
    // a connection whose rollback fails is not given back: it may hold an open transaction
    const rollback = await client.query('rollback').then(
      () => undefined,
      (failure: unknown) => (failure instanceof Error ? failure : true),
    )
    client.release(rollback)
    throw translateDatabaseError(error)
  } finally {
    client.off('error', ignoreLoss)
  }
}
