import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

/**
 * Brings a database to the present schema with the program that does so in production, so that tests never see a schema
 * of their own.
 *
 * @throws Error with what the program said, if it fails
 */
export async function migrateDatabase(url: string): Promise<void> {
  const program = fileURLToPath(new URL('../../../services/broker/bin/nexus-broker.ts', import.meta.url))
  if (!existsSync(program)) return
  // nothing else of this process's environment: a developer's settings must not shape the tests' schema
  const env = { PATH: process.env['PATH'], DATABASE_URL: url }
  await promisify(execFile)(process.execPath, [program, 'migrate', 'up'], { env }).catch((error: unknown) => {
    const said = error instanceof Error && 'stderr' in error && 'stdout' in error ? [error.stdout, error.stderr] : []
    throw new Error(`the migrations failed:\n${said.join('\n')}`, { cause: error })
  })
}
