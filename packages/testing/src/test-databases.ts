import { randomBytes } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'

/** A database of one test file. */
export type TestDatabase = {
  readonly name: string
  readonly url: string
  /** A pool for the test's own statements; ended by `drop`. */
  readonly pool: pg.Pool
  /**
   * Ends the pool and drops the database.
   *
   * @throws Error that names them if connections are still open: somebody forgot to close what it opened
   */
  readonly drop: () => Promise<void>
}

/** The URL of another database on the same server, whatever parameters the URL has. */
export function withDatabase(serverUrl: string, database: string): string {
  const url = new URL(serverUrl)
  url.pathname = `/${database}`
  return url.href
}

/** Makes an empty database, or a clone of `template` (which nobody may be connected to). */
export async function createTestDatabase(serverUrl: string, template?: string): Promise<TestDatabase> {
  const name = `t_${randomBytes(6).toString('hex')}`
  await runOnServer(serverUrl, `create database ${name}${template === undefined ? '' : ` template ${template}`}`)
  const url = withDatabase(serverUrl, name)
  const pool = new pg.Pool({ connectionString: url, max: 5, application_name: 'test' })
  // a test that stops the server breaks idle connections: no reason to end the process
  pool.on('error', () => undefined)
  const drop = async (): Promise<void> => {
    await pool.end()
    const leaked = await leakedConnections(serverUrl, name)
    await runOnServer(serverUrl, `drop database ${name} with (force)`)
    if (leaked.length > 0) {
      throw new Error(`${leaked.length} connections to the test database were left open:\n${leaked.join('\n')}`)
    }
  }
  return { name, url, pool, drop }
}

/** Runs one statement in the server's maintenance database. */
export async function runOnServer(serverUrl: string, sql: string, values: string[] = []): Promise<pg.QueryResult> {
  const client = new pg.Client({ connectionString: withDatabase(serverUrl, 'postgres') })
  await client.connect()
  try {
    return await client.query(sql, values)
  } finally {
    await client.end()
  }
}

/** A server process ends a little after its client has hung up, so what is seen first may be a farewell. */
async function leakedConnections(serverUrl: string, name: string): Promise<readonly string[]> {
  for (let attempt = 1; ; attempt++) {
    const { rows } = await runOnServer(
      serverUrl,
      `select format('%s (%s): %s', coalesce(nullif(application_name, ''), 'unnamed'), state, left(query, 200)) as said
         from pg_stat_activity where datname = $1 and backend_type = 'client backend'`,
      [name],
    )
    if (rows.length === 0 || attempt === 20) return rows.map((row: { said: string }) => row.said)
    await sleep(50)
  }
}
