import type { Command } from 'commander'
import type { CliIo, CliServices } from './io.ts'

/** What commands are made with, and tell their end to. */
export type Context = {
  readonly io: CliIo
  readonly services: CliServices
  /** Another exit code than 0 for a command that did not fail. */
  readonly exitWith: (exitCode: number) => void
}

/** Examples below the options of a command: what people copy. */
export function withExamples(command: Command, examples: readonly string[]): Command {
  return command.addHelpText('after', `\nExamples:\n${examples.map((line) => `  ${line}\n`).join('')}`)
}
