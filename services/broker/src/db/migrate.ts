import { readdir } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { PG_MIGRATE_LOCK_ID, runner } from 'node-pg-migrate'
import pg from 'pg'

const migrationsDirectory = fileURLToPath(new URL('../../../../migrations', import.meta.url))
const migrationsTable = 'schema_migrations'

/** The advisory lock that migrations and the registration of the first key are done under. */
export const migrationLockId = PG_MIGRATE_LOCK_ID

export type MigrationStatus = { readonly applied: readonly string[]; readonly pending: readonly string[] }

type Progress = (line: string) => void

/**
 * Runs every pending migration, each in a transaction of its own, under an advisory lock: of many at once one works and
 * the others wait, and one that is killed leaves whole migrations behind (R7).
 *
 * The lock belongs to a session, so `databaseUrl` must not lead through a transaction pooler (DATABASE_DIRECT_URL).
 * @returns the names of the migrations that ran.
 */
export function migrateUp(databaseUrl: string, progress: Progress): Promise<readonly string[]> {
  return run(databaseUrl, 'up', Number.POSITIVE_INFINITY, progress)
}

/** Undoes the last `count` migrations, and the data in them. */
export function migrateDown(databaseUrl: string, count: number, progress: Progress): Promise<readonly string[]> {
  return run(databaseUrl, 'down', count, progress)
}

/** What has run and what has not; changes nothing, not even an empty database. */
export async function readMigrationStatus(databaseUrl: string): Promise<MigrationStatus> {
  const files = await readdir(migrationsDirectory)
  const known = files
    .filter((file) => file.endsWith('.sql'))
    .map((file) => file.slice(0, -'.sql'.length))
    .toSorted()
  const applied = await readApplied(databaseUrl)
  return { applied, pending: known.filter((name) => !applied.includes(name)) }
}

async function run(databaseUrl: string, direction: 'up' | 'down', count: number, progress: Progress) {
  const waiting = setTimeout(() => {
    progress('another migration is running; waiting for it to finish …')
  }, 1_000)
  const say = (line: string): void => {
    clearTimeout(waiting)
    // node-pg-migrate echoes every statement with its bookkeeping; a name per migration is what people read
    const name = /^### MIGRATION (\S+) \((UP|DOWN)\)/.exec(line)
    if (name) progress(`${direction === 'up' ? 'applying' : 'undoing'} ${name[1]}`)
  }
  try {
    const done = await runner({
      databaseUrl,
      dir: migrationsDirectory,
      migrationsTable,
      direction,
      count,
      advisoryLockMode: 'wait',
      logger: { debug: say, info: say, warn: progress, error: () => undefined },
    })
    return done.map(({ name }) => name)
  } finally {
    clearTimeout(waiting)
  }
}

async function readApplied(databaseUrl: string): Promise<readonly string[]> {
  const client = new pg.Client({ connectionString: databaseUrl, connectionTimeoutMillis: 5_000 })
  await client.connect()
  try {
    const { rows } = await client.query<{ name: string }>(`select name from ${migrationsTable} order by id`)
    return rows.map(({ name }) => name)
  } catch (error) {
    // 42P01: no such table, so nothing has run
    if (error instanceof pg.DatabaseError && error.code === '42P01') return []
    throw error
  } finally {
    await client.end()
  }
}
