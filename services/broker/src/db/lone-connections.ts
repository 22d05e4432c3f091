import pg from 'pg'
import { translateDatabaseError } from './database-errors.ts'
import type { Queryable } from './database.ts'

export type LoneOptions = {
  /** Of the server itself: what is set for one statement must not stay behind in a transaction pooler. */
  readonly url: string
  readonly applicationName: string
  readonly statementTimeoutMs: number
  readonly lockTimeoutMs: number
}

const connectTimeoutMs = 5_000

/**
 * Runs each statement on a connection of its own, for the few that PostgreSQL refuses inside a transaction and that must
 * not wait long for a lock. On a connection of the pool the limit would outlive the statement wherever a reset fails.
 */
export function createLoneConnections(options: LoneOptions): Queryable {
  return {
    async query<Row extends pg.QueryResultRow>({ text, values }: { text: string; values: readonly unknown[] }) {
      const client = openClient(options)
      try {
        await client.connect()
        await client.query(
          `set statement_timeout = ${options.statementTimeoutMs}; set lock_timeout = ${options.lockTimeoutMs}; set timezone = 'UTC'`,
        )
        return (await client.query<Row>({ text, values: [...values] })).rows
      } catch (error) {
        throw translateDatabaseError(error)
      } finally {
        // what is to be known is known by now; a farewell that fails changes nothing
        await client.end().catch(() => undefined)
      }
    },
  }
}

function openClient({ url, applicationName, statementTimeoutMs }: LoneOptions): pg.Client {
  const client = new pg.Client({
    connectionString: url,
    connectionTimeoutMillis: connectTimeoutMs,
    query_timeout: statementTimeoutMs + 5_000,
    application_name: applicationName,
    keepAlive: true,
  })
  // the statement in hand fails of a lost connection too; an event that nobody hears would end the process
  client.on('error', () => undefined)
  return client
}
