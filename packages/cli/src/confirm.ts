import { createInterface } from 'node:readline/promises'
import { CliError } from './errors.ts'
import type { CliIo } from './io.ts'

/**
 * Asks a person at a terminal, who agrees by typing `yes` and by nothing else.
 * @throws CliError where nobody can be asked
 */
export async function confirm({ stdin, stderr, signal }: CliIo, question: string): Promise<boolean> {
  if (stdin.isTTY !== true)
    throw new CliError('nobody can be asked here, since this is no terminal: --yes agrees beforehand')
  const lines = createInterface({ input: stdin, terminal: false })
  try {
    stderr.write(`${question} Only yes is a yes: `)
    const answer = await Promise.race([readLine(lines), untilAborted(signal)])
    return answer?.trim() === 'yes'
  } finally {
    lines.close()
  }
}

/** undefined at the end of the input: Ctrl-D. */
async function readLine(lines: AsyncIterable<string>): Promise<string | undefined> {
  for await (const line of lines) return line
  return undefined
}

function untilAborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    signal.addEventListener('abort', () => reject(new Error('interrupted')), { once: true })
  })
}
