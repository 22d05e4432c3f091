import type { Command } from 'commander'

export type Word = { readonly word: string; readonly description: string; readonly takesFile: boolean }

/** A command as it is typed after `nexus` (empty for itself), and what may come next. */
export type CommandWords = { readonly path: string; readonly words: readonly Word[] }

/** Every command of the tree, from its root on. */
export function listCommandWords(command: Command, path: readonly string[] = []): readonly CommandWords[] {
  const help = command.createHelp()
  const subcommands = help.visibleCommands(command)
  const words = [
    ...subcommands.map((one) => ({
      word: one.name(),
      description: describe(help.subcommandDescription(one)),
      takesFile: false,
    })),
    ...choicesOf(command),
    ...[...help.visibleOptions(command), ...inheritedOptions(command)].flatMap(({ long, description }) =>
      long === undefined || long === null
        ? []
        : [{ word: long, description: describe(description), takesFile: long === '--file' }],
    ),
  ]
  const own = { path: path.join(' '), words }
  // `help` takes the names of its siblings, which stand one level higher
  const inner = subcommands.filter((one) => one.name() !== 'help')
  return [own, ...inner.flatMap((one) => listCommandWords(one, [...path, one.name()]))]
}

function choicesOf(command: Command): readonly Word[] {
  return command.registeredArguments.flatMap(({ argChoices, description }) =>
    (argChoices ?? []).map((word) => ({ word, description: describe(description), takesFile: false })),
  )
}

/** Those of the commands above, which are taken here too. */
function inheritedOptions(
  command: Command,
): readonly { readonly long?: string | undefined; readonly description: string }[] {
  const above = command.parent
  // what the program itself has is --version
  if (above === null || above.parent === null) return []
  return [...above.options.filter(({ hidden }) => !hidden), ...inheritedOptions(above)]
}

/** One line, without what shells give a meaning to. */
function describe(text: string): string {
  return (text.split('\n')[0] ?? '').replaceAll(/['"\\`$[\]]/g, '').slice(0, 70)
}
