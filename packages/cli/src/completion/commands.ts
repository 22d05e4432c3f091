import { Argument, type Command } from 'commander'
import { type Context, withExamples } from '../context.ts'
import { listCommandWords } from './command-words.ts'
import { type Shell, shells, writeCompletionScript } from './completion-script.ts'

/** `nexus completion bash|zsh|fish`. */
export function registerCompletionCommand(program: Command, { io }: Context): void {
  const completion = program
    .command('completion')
    .summary('a script by which a shell completes commands')
    .description('Prints a script by which a shell completes commands and options, made from the commands there are.')
    .addArgument(new Argument('<shell>', 'the shell').choices(shells))
    .action((shell: Shell) => {
      io.stdout.write(writeCompletionScript(shell, listCommandWords(program)))
    })
  withExamples(completion, [
    'source <(nexus completion bash)',
    'nexus completion zsh > "${fpath[1]}/_nexus"',
    'nexus completion fish > ~/.config/fish/completions/nexus.fish',
  ])
}
