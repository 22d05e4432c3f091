import type { CommandWords } from './command-words.ts'

export const shells = ['bash', 'zsh', 'fish'] as const
export type Shell = (typeof shells)[number]

/**
 * A script that completes commands and options of `nexus`. All of it is decided now: a key on the keyboard starts no Node,
 * which would take a quarter of a second each time.
 */
export function writeCompletionScript(shell: Shell, commands: readonly CommandWords[]): string {
  const writers = { bash: writeBash, zsh: writeZsh, fish: writeFish }
  return writers[shell](commands)
}

/** The paths as patterns of `case`: how one more word leads from command to command. */
function listSteps(commands: readonly CommandWords[]): readonly string[] {
  return commands.map(({ path }) => path).filter((path) => path !== '')
}

function filesOf(commands: readonly CommandWords[]): readonly string[] {
  return [
    ...new Set(commands.flatMap(({ words }) => words.filter(({ takesFile }) => takesFile).map(({ word }) => word))),
  ]
}

function writeBash(commands: readonly CommandWords[]): string {
  const cases = commands.map(
    ({ path, words }) => `    '${path}') words='${words.map(({ word }) => word).join(' ')}' ;;`,
  )
  return `# bash completion of nexus:  source <(nexus completion bash)
_nexus() {
  local current="\${COMP_WORDS[COMP_CWORD]}" previous="\${COMP_WORDS[COMP_CWORD-1]}"
  local at='' words='' word step i
  for ((i = 1; i < COMP_CWORD; i++)); do
    word="\${COMP_WORDS[i]}"
    step="\${at:+$at }$word"
    case "$step" in
      ${listSteps(commands)
        .map((path) => `'${path}'`)
        .join('|')}) at="$step" ;;
    esac
  done
  case "$previous" in
    ${filesOf(commands).join('|')}) COMPREPLY=($(compgen -f -- "$current")); return ;;
  esac
  case "$at" in
${cases.join('\n')}
  esac
  COMPREPLY=($(compgen -W "$words" -- "$current"))
}
complete -o filenames -F _nexus nexus
`
}

function writeZsh(commands: readonly CommandWords[]): string {
  const cases = commands.map(({ path, words }) => {
    const described = words.map(({ word, description }) => `'${word}:${description}'`)
    return `    ('${path}') candidates=(${described.join(' ')}) ;;`
  })
  return `#compdef nexus
# zsh completion of nexus:  nexus completion zsh > "\${fpath[1]}/_nexus", or:  source <(nexus completion zsh)
_nexus() {
  local at='' word step i
  local -a candidates
  for ((i = 2; i < CURRENT; i++)); do
    word="\${words[i]}"
    step="\${at:+$at }$word"
    case "$step" in
      (${listSteps(commands)
        .map((path) => `'${path}'`)
        .join('|')}) at="$step" ;;
    esac
  done
  case "\${words[CURRENT-1]}" in
    (${filesOf(commands).join('|')}) _files; return ;;
  esac
  case "$at" in
${cases.join('\n')}
  esac
  _describe 'nexus' candidates
}
if [ "\${funcstack[1]}" = '_nexus' ]; then
  _nexus "$@"
else
  compdef _nexus nexus
fi
`
}

function writeFish(commands: readonly CommandWords[]): string {
  const lines = commands.flatMap(({ path, words }) =>
    words.map(({ word, description, takesFile }) => {
      const what = word.startsWith('--') ? `-l ${word.slice(2)}${takesFile ? ' -r -F' : ''}` : `-a ${word}`
      return `complete -c nexus -n "__nexus_at '${path}'" ${what} -d '${description}'`
    }),
  )
  return `# fish completion of nexus:  nexus completion fish > ~/.config/fish/completions/nexus.fish
function __nexus_at
  set -l at ''
  for word in (commandline -opc)[2..-1]
    set -l step (string trim "$at $word")
    switch "$step"
      case ${listSteps(commands)
        .map((path) => `'${path}'`)
        .join(' ')}
        set at "$step"
    end
  end
  test "$at" = "$argv[1]"
end
complete -c nexus -f
${lines.join('\n')}
`
}
