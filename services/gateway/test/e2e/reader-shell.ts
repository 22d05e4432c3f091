import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Writable } from 'node:stream'
import { leash } from '@nexus/testing/process-leash'

/** What came of a block of commands. */
export type Ran = {
  /** stdout and stderr as they came. */
  readonly output: string
  /** The commands that ended with something else than 0. */
  readonly failed: string
}

/** The shell of somebody who reads a page and types its commands in, one block after the other. */
export type ReaderShell = AsyncDisposable & {
  readonly run: (script: string) => Promise<Ran>
}

export type ReaderShellOptions = {
  readonly cwd: string
  readonly env: Readonly<Record<string, string>>
  /** Called with everything that is shown, as it is shown. */
  readonly onOutput: (text: string) => void
}

// variables and functions stay from one block to the next; what runs reads neither the blocks nor a keyboard
const loop = `
set -E -o pipefail
trap 'printf "%s\\n" "$BASH_COMMAND" >> "$failures"' ERR
while IFS= read -r -u 3 block; do
  failures=$block.failed
  : > "$failures"
  . "$block" 3<&- </dev/null 2>&1
  printf '\\nEND %s\\n' "$block"
done`

/** A bash that lives until it is disposed of. */
export function startReaderShell({ cwd, env, onOutput }: ReaderShellOptions): ReaderShell {
  const child = spawn('bash', ['-c', loop], { cwd, env, stdio: ['ignore', 'pipe', 'pipe', 'pipe'] })
  leash(child, 'KILL')
  const blocks = child.stdio[3]
  if (!(blocks instanceof Writable)) throw new Error('the shell has no third pipe')
  const ended = once(child, 'close')
  let said = ''
  let wake = (): void => undefined
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding('utf8').on('data', (text: string) => {
      said += text
      onOutput(text)
      wake()
    })
  }
  let count = 0
  return {
    async run(script) {
      const block = join(cwd, `block-${(count += 1)}`)
      await writeFile(block, script)
      said = ''
      const end = `\nEND ${block}\n`
      const isDone = new Promise<void>((resolve) => {
        wake = () => void (said.endsWith(end) && resolve())
      })
      blocks.write(`${block}\n`)
      const isOver = await Promise.race([isDone.then(() => false), ended.then(() => true)])
      if (isOver) throw new Error(`the shell has ended:\n${said}`)
      return { output: said.slice(0, -end.length), failed: await readFile(`${block}.failed`, 'utf8') }
    },
    async [Symbol.asyncDispose]() {
      child.kill('SIGKILL')
      await ended
    },
  }
}
