import { once } from 'node:events'
import { ConfigError } from '@nexus/config'
import { Command, CommanderError, Help } from 'commander'
import { registerCompletionCommand } from './completion/commands.ts'
import { registerConnectCommand } from './connect/connect-command.ts'
import { type Context, withExamples } from './context.ts'
import { CliError, codeOf, describeError } from './errors.ts'
import { AmbiguousToken } from './hub/find-token.ts'
import { registerHubCommands } from './hub/commands.ts'
import type { CliIo, CliServices } from './io.ts'
import { createPaint, printable, printableLines, writeLine } from './output/text.ts'
import { registerProviderCommands } from './providers/commands.ts'
import { version } from './version.ts'

/** As shells report an end by SIGINT. */
const interrupted = 130

/**
 * Runs one command. Faults are told on stderr, never thrown.
 * @param args - without Node and the program
 * @returns the exit code: 0, 1 for a failure, 2 for a wrong call (and where a command says so), 130 after Ctrl-C
 */
export async function runCli(args: readonly string[], io: CliIo, services: CliServices): Promise<number> {
  let exitCode = 0
  const context: Context = { io, services, exitWith: (code) => void (exitCode = code) }
  const program = buildProgram(context)
  try {
    // whatever hangs, Ctrl-C ends it
    await Promise.race([program.parseAsync(args, { from: 'user' }), untilAborted(io.signal)])
    return exitCode
  } catch (error) {
    return tell(io, error)
  }
}

/** The whole tree of commands. */
export function buildProgram(context: Context): Command {
  const { stdout, stderr, env } = context.io
  const program = new Command('nexus')
    .description('Nexus, a credential broker for agents: tokens and zones, provider profiles, connections.')
    .version(version)
    .exitOverride()
    .configureHelp(helpForm())
    .configureOutput({
      writeOut: (text) => void stdout.write(text),
      writeErr: (text) => void stderr.write(text),
      outputError: (text, write) =>
        write(`${createPaint(stderr, env)('red', 'Error:')} ${text.replace(/^error: /, '')}`),
      getOutHelpWidth: () => widthOf(stdout),
      getErrHelpWidth: () => widthOf(stderr),
      getOutHasColors: () => false,
      getErrHasColors: () => false,
    })
    .showHelpAfterError('(--help tells more)')
  registerHubCommands(program, context)
  registerProviderCommands(program, context)
  registerConnectCommand(program, context)
  registerCompletionCommand(program, context)
  return withExamples(program, [
    'nexus hub token create --name ci-bot --zones eng:rw,ops:r',
    'nexus providers plan --file nexus-providers.yaml',
    'nexus connect google --user user-42',
    'source <(nexus completion bash)',
  ])
}

/** Options of the commands above are shown too, but for `--version`; of a command among others, the first sentence. */
function helpForm(): Partial<Help> {
  const usual = Object.assign(new Help(), { showGlobalOptions: true })
  return {
    showGlobalOptions: true,
    visibleGlobalOptions: (command) => usual.visibleGlobalOptions(command).filter(({ long }) => long !== '--version'),
    subcommandDescription: (command) => usual.subcommandDescription(command).split(/(?<=\.)\s|\n/)[0] ?? '',
  }
}

/** A terminal that was never told its size has 0 columns. */
function widthOf({
  isTTY,
  columns = 0,
}: {
  readonly isTTY?: boolean | undefined
  readonly columns?: number | undefined
}) {
  return isTTY === true && columns > 0 ? Math.min(columns, 120) : 100
}

async function untilAborted(signal: AbortSignal): Promise<never> {
  if (!signal.aborted) await once(signal, 'abort')
  throw signal.reason
}

/** What to do about a refusal, where the shell knows more than the service. */
const hints: Readonly<Record<string, string | undefined>> = {
  zone_required: 'with --zone',
  missing_bearer_token: 'in NEXUS_TOKEN, or with --token',
  route_not_found: 'is this the right service? hub and connect ask a Gateway, providers the Broker',
}

function tell({ stderr, env, signal }: CliIo, error: unknown): number {
  if (signal.aborted) {
    writeLine(stderr, 'interrupted')
    return interrupted
  }
  // commander has said what is wrong already
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2
  // lines are ours alone: what a service says in its refusals is somebody else's text
  const isOurs = error instanceof CliError || error instanceof ConfigError
  const told = isOurs ? printableLines(error.message) : printable(describeError(error))
  const hint = hints[codeOf(error) ?? '']
  if (error instanceof AmbiguousToken) writeLine(stderr, told)
  else
    writeLine(stderr, `${createPaint(stderr, env)('red', 'Error:')} ${told}${hint === undefined ? '' : ` (${hint})`}`)
  return error instanceof CliError ? error.exitCode : 1
}
