import { setTimeout as delay } from 'node:timers/promises'
import type { TestDatabase } from '@nexus/testing'
import { type Database, openDatabase } from '../src/db/database.ts'

type Pool = TestDatabase['pool']

/** A pool of the Broker's own kind, for its parts taken alone. */
export function openTestDatabase({ url }: Pick<TestDatabase, 'url'>): Database {
  return openDatabase({
    url,
    maxConnections: 2,
    statementTimeoutMs: 10_000,
    applicationName: 'nexus-broker',
    keepsPrepared: true,
    onIdleError: () => undefined,
  })
}

/** Asks again until there is an answer; `what` is said when none comes in time. */
export async function eventually<Result>(
  what: string,
  look: () => Promise<Result | undefined> | Result | undefined,
  withinMs = 10_000,
): Promise<Result> {
  const deadline = performance.now() + withinMs
  for (;;) {
    const found = await look()
    if (found !== undefined) return found
    if (performance.now() > deadline) throw new Error(`it did not happen within ${withinMs} ms: ${what}`)
    await delay(10)
  }
}

/** Limits count anew with each minute: nobody should be counting while one begins. */
export function earlyInTheMinute(): Promise<true> {
  return eventually('a minute has begun', () => (Date.now() % 60_000 < 45_000 ? true : undefined), 20_000)
}

/** Until as many statements wait for a lock that somebody else has. */
export function whenWaiting(pool: Pool, statements: number): Promise<true> {
  return eventually(`${statements} statements wait for a lock`, async () => {
    const { rowCount } = await pool.query(
      `select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`,
    )
    return rowCount === statements ? true : undefined
  })
}

/**
 * While a provider keeps a request waiting: a transaction around that request stays open for as long, those of the
 * background (a sweep, the recovery of a refresh) end by themselves. Shorter than any time limit of a request.
 */
export async function expectNoTransaction(pool: Pool, during: string): Promise<void> {
  const look = async () => {
    const { rowCount } = await pool.query(
      `select from pg_stat_activity
        where datname = current_database() and application_name = 'nexus-broker' and xact_start is not null`,
    )
    return rowCount === 0 ? true : undefined
  }
  await eventually(`no transaction is open during ${during}`, look, 3_000)
}

/** Moves a token to the moment at which it has `secondsLeft` of its `lifetime`; its last refresh is long ago. */
export async function setSecondsLeft(pool: Pool, id: string, secondsLeft: number, lifetime = 3600): Promise<void> {
  const { rowCount } = await pool.query(
    `update tokens
        set expires_at = now() + make_interval(secs => $2), issued_at = now() + make_interval(secs => $2 - $3::float8),
            last_refresh_at = last_refresh_at - interval '1 hour'
      where connection_id = $1`,
    [id, secondsLeft, lifetime],
  )
  if (rowCount !== 1) throw new Error(`${id} has no token`)
}

export type TokenRow = {
  readonly version: number
  readonly failure_count: number
  readonly next_attempt_at: Date | null
  readonly expires_at: Date | null
  readonly refresh_at: Date | null
  readonly last_refresh_at: Date | null
  readonly has_refresh_token: boolean
  readonly lease_owner: string | null
}

export async function tokenRow(pool: Pool, id: string): Promise<TokenRow> {
  const { rows } = await pool.query<TokenRow>('select * from tokens where connection_id = $1', [id])
  if (rows[0] === undefined) throw new Error(`${id} has no token`)
  return rows[0]
}

/** Every ordinary table of the database, partitions included. */
async function listTables(pool: Pool): Promise<readonly string[]> {
  const { rows } = await pool.query<{ name: string }>(
    `select quote_ident(relname) as name from pg_class
      where relkind = 'r' and relnamespace = 'public'::regnamespace order by relname`,
  )
  return rows.map(({ name }) => name)
}

/**
 * A checksum of the content of each table but the audit's, where refused attempts are recorded too, and but for the use of
 * tokens, which is written when nobody waits for it.
 */
export async function checksumTables(pool: Pool): Promise<Readonly<Record<string, string>>> {
  const sums: Record<string, string> = {}
  for (const table of (await listTables(pool)).filter((name) => !name.startsWith('audit_'))) {
    const row = table === 'agent_tokens' ? `(to_jsonb(t) - 'last_used_at')::text` : 't::text'
    const { rows } = await pool.query<{ sum: string }>(
      `select coalesce(md5(string_agg(${row}, '|' order by ${row})), 'empty') as sum from ${table} t`,
    )
    sums[table] = rows[0]?.sum ?? ''
  }
  return sums
}

/** All rows of all tables as text. Bytes stand in it as hex, as base64, and as the text they may be. */
export async function dumpTables(pool: Pool): Promise<string> {
  const lines: string[] = []
  for (const table of await listTables(pool)) {
    const { rows } = await pool.query<Record<string, unknown>>(`select * from ${table}`)
    for (const row of rows) lines.push(`${table} ${Object.values(row).map(toDumpText).join(' ')}`)
  }
  return lines.join('\n')
}

function toDumpText(value: unknown): string {
  if (Buffer.isBuffer(value)) return `${value.toString('hex')} ${value.toString('base64')} ${value.toString('latin1')}`
  return typeof value === 'string' ? value : JSON.stringify(value)
}

/** Waits until a statement of a Broker stands before a lock that the test holds. */
export async function waitForBlocked(pool: Pool, count = 1): Promise<void> {
  await eventually(`${count} statements wait for a lock`, async () => {
    const { rows } = await pool.query(
      `select from pg_stat_activity
        where datname = current_database() and wait_event_type = 'Lock' and application_name = 'nexus-broker'`,
    )
    return rows.length >= count ? true : undefined
  })
}

/** Runs `work` while the test's own transaction holds what `statement` locks; ends that transaction by a rollback. */
export async function whileLocked<Result>(pool: Pool, statement: string, work: () => Promise<Result>): Promise<Result> {
  const holder = await pool.connect()
  try {
    await holder.query('begin')
    await holder.query(statement)
    return await work()
  } finally {
    await holder.query('rollback')
    holder.release()
  }
}

/** As if a handshake had been accepted a while ago: then whoever accepted it has died. */
export async function passAcceptanceGrace(pool: Pool, connectionId: string): Promise<void> {
  await pool.query(`update handshakes set accepted_at = accepted_at - interval '2 minutes' where connection_id = $1`, [
    connectionId,
  ])
}
