import { ensureAuditPartitions } from '../audit/ensure-at-url.ts'
import { type Environment, migrationUrl, readMigrateConfig } from '../config.ts'
import { migrateDown, migrateUp, readMigrationStatus } from '../db/migrate.ts'
import { UsageError, readCount, readOptions } from './command-line.ts'

/** `migrate up|down|status`. @returns the exit code */
export async function migrate([direction, ...rest]: readonly string[], env: Environment): Promise<number> {
  if (direction !== 'up' && direction !== 'down' && direction !== 'status') {
    throw new UsageError('migrate takes up, down or status')
  }
  const { values } = readOptions(rest, {
    count: { type: 'string', default: '1' },
    yes: { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
  })
  const count = readCount('count', values.count)
  const url = migrationUrl(readMigrateConfig(env))
  if (direction === 'up') return migrateToCurrent(url)
  if (direction === 'status') return printStatus(url, values.json)
  return undo(url, count, values.yes)
}

async function migrateToCurrent(url: string): Promise<number> {
  const done = await migrateUp(url, say)
  const partitions = await ensureAuditPartitions(url)
  say(done.length === 0 ? 'the schema is current' : `migrations done: ${done.length}`)
  if (partitions.length > 0) say(`audit partitions made: ${partitions.length}`)
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
