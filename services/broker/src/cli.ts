import { parseArgs } from 'node:util'
import { ConfigError } from '@nexus/config'
import { ensureAuditPartitions } from './audit/ensure-at-url.ts'
import { type Environment, migrationUrl, readMigrateConfig } from './config.ts'
import { migrateDown, migrateUp, readMigrationStatus } from './db/migrate.ts'

const help = `nexus-broker: owns the vault, the handshakes, refresh and audit of Nexus.

  nexus-broker serve                     run the Broker (in production only on a current schema)
  nexus-broker migrate up                run pending migrations, and make audit partitions ahead
  nexus-broker migrate status [--json]   what has run and what has not; exit 1 while something is pending
  nexus-broker migrate down [--count N] --yes
                                         undo the last N migrations (1) and lose the data in them

Configuration comes from environment variables; README.md has the table. migrate needs DATABASE_URL alone
(or DATABASE_DIRECT_URL, where DATABASE_URL leads through a transaction pooler).
`

/** A mistake in how the command was called: told in one line, exit code 2. */
class UsageError extends Error {}

/** Runs one command. @returns the exit code; `serve` ends the process itself */
export async function runCli(args: readonly string[], env: Environment): Promise<number> {
  try {
    return await dispatch(args, env)
  } catch (error) {
    if (error instanceof UsageError) {
      process.stderr.write(`${error.message}\nTry: nexus-broker --help\n`)
      return 2
    }
    const text = error instanceof ConfigError ? error.message : `nexus-broker: ${describe(error)}`
    process.stderr.write(`${text}\n`)
    return 1
  }
}

async function dispatch(args: readonly string[], env: Environment): Promise<number> {
  const [command, ...rest] = args
  switch (command) {
    case undefined:
    case '--help':
    case '-h':
    case 'help':
      process.stdout.write(help)
      return command === undefined ? 2 : 0
    case 'serve':
      if (rest.length > 0) throw new UsageError(`serve takes no arguments, not ${rest[0]}`)
      return serve(env)
    case 'migrate':
      return migrate(rest, env)
    default:
      throw new UsageError(`there is no command ${command}`)
  }
}

async function serve(env: Environment): Promise<number> {
  // loaded when needed: migrations are run by jobs that wait for it, and use a tenth of what a Broker is made of
  const [{ runService }, { startBroker }] = await Promise.all([import('@nexus/service'), import('./main.ts')])
  await runService({ name: 'nexus-broker', start: () => startBroker(env) })
  return 0
}

async function migrate([direction, ...rest]: readonly string[], env: Environment): Promise<number> {
  if (direction !== 'up' && direction !== 'down' && direction !== 'status') {
    throw new UsageError('migrate takes up, down or status')
  }
  const options = readOptions(rest)
  const url = migrationUrl(readMigrateConfig(env))
  if (direction === 'up') return migrateToCurrent(url)
  if (direction === 'status') return printStatus(url, options.json)
  return undo(url, options.count, options.yes)
}

function readOptions(args: readonly string[]) {
  try {
    const { values } = parseArgs({
      args: [...args],
      options: {
        count: { type: 'string', default: '1' },
        yes: { type: 'boolean', default: false },
        json: { type: 'boolean', default: false },
      },
    })
    const count = Number(values.count)
    if (!Number.isInteger(count) || count < 1) throw new UsageError('--count takes a whole number from 1')
    return { ...values, count }
  } catch (error) {
    throw error instanceof UsageError ? error : new UsageError(error instanceof Error ? error.message : 'bad arguments')
  }
}

async function migrateToCurrent(url: string): Promise<number> {
  const done = await migrateUp(url, say)
  const partitions = await ensureAuditPartitions(url)
  say(done.length === 0 ? 'the schema is current' : `${done.length} migrations done`)
  if (partitions.length > 0) say(`${partitions.length} audit partitions made`)
  return 0
}

async function printStatus(url: string, asJson: boolean): Promise<number> {
  const { applied, pending } = await readMigrationStatus(url)
  if (asJson) process.stdout.write(`${JSON.stringify({ applied, pending })}\n`)
  else {
    const lines = [...applied.map((name) => `applied  ${name}`), ...pending.map((name) => `pending  ${name}`)]
    process.stdout.write(`${lines.join('\n')}\n`)
  }
  return pending.length === 0 ? 0 : 1
}

async function undo(url: string, count: number, isConfirmed: boolean): Promise<number> {
  const { applied } = await readMigrationStatus(url)
  const doomed = applied.slice(-count).toReversed()
  if (doomed.length === 0) {
    say('there is nothing to undo')
    return 0
  }
  if (!isConfirmed)
    throw new UsageError(`this would undo ${doomed.join(', ')} and lose the data in them; confirm with --yes`)
  await migrateDown(url, count, say)
  return 0
}

function say(line: string): void {
  process.stderr.write(`${line}\n`)
}

function describe(error: unknown): string {
  if (error instanceof AggregateError) return error.errors.map(describe).join('; ')
  return error instanceof Error ? error.message : String(error)
}
