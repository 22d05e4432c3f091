import { ConfigError } from '@nexus/config'
import { UsageError, isHelpWanted } from './cli/command-line.ts'
import { migrate } from './cli/migrate-command.ts'
import type { Environment } from './config.ts'

const help = `nexus-broker: owns the vault, the handshakes, refresh and audit of Nexus.

  nexus-broker serve                     run the Broker (in production only on a current schema)
  nexus-broker migrate up                run pending migrations, and make audit partitions ahead
  nexus-broker migrate status [--json]   what has run and what has not; exit 1 while something is pending
  nexus-broker migrate down [--count N] --yes
                                         undo the last N migrations (1) and lose the data in them
  nexus-broker keys status|add|rotate|retire
                                         which encryption keys seal what, and how one takes the other's place
  nexus-broker vault verify              open every sealed secret, and find rows that were put back

Configuration comes from environment variables; README.md has the table. migrate needs DATABASE_URL alone
(or DATABASE_DIRECT_URL, where DATABASE_URL leads through a transaction pooler); keys and vault need DATABASE_URL,
ENCRYPTION_KEY and ENCRYPTION_KEYS_EXTRA, and have a help of their own: nexus-broker keys --help
`

/** Runs one command. @returns the exit code; `serve` ends the process itself */
export async function runCli(args: readonly string[], env: Environment): Promise<number> {
  try {
    return await dispatch(args, env)
  } catch (error) {
    if (error instanceof UsageError) {
      const command = error.command === '' ? 'nexus-broker' : `nexus-broker ${error.command}`
      process.stderr.write(`${error.message}\nTry: ${command} --help\n`)
      return 2
    }
    const text = error instanceof ConfigError ? error.message : `nexus-broker: ${describe(error)}`
    process.stderr.write(`${text}\n`)
    return 1
  }
}

async function dispatch(args: readonly string[], env: Environment): Promise<number> {
  const [command, ...rest] = args
  if (command === undefined || isHelpWanted(args)) {
    process.stdout.write(help)
    return command === undefined ? 2 : 0
  }
  switch (command) {
    case 'serve':
      if (rest.length > 0) throw new UsageError(`serve takes no arguments, not ${rest[0]}`)
      return serve(env)
    case 'migrate':
      return migrate(rest, env)
    // loaded when needed, as serve is: migrations are run by jobs that wait for it, and use a tenth of what a Broker is
    // made of
    case 'keys':
      return (await import('./cli/keys-command.ts')).keys(rest, env)
    case 'vault':
      return (await import('./cli/vault-command.ts')).vault(rest, env)
    default:
      throw new UsageError(`there is no command ${command}`)
  }
}

async function serve(env: Environment): Promise<number> {
  const [{ runService }, { startBroker }] = await Promise.all([import('@nexus/service'), import('./main.ts')])
  await runService({ name: 'nexus-broker', start: () => startBroker(env) })
  return 0
}

function describe(error: unknown): string {
  if (error instanceof AggregateError) return error.errors.map(describe).join('; ')
  return error instanceof Error ? error.message : String(error)
}
