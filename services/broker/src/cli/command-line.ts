import { type ParseArgsOptionsConfig, parseArgs } from 'node:util'

/** A mistake in how a command was called: told in a line, exit code 2. */
export class UsageError extends Error {
  /** Whose help tells more: `keys`; that of the whole program unless said. */
  readonly command: string

  constructor(message: string, command = '') {
    super(message)
    this.command = command
  }
}

/**
 * Reads the options of a command, and its arguments if it takes any.
 *
 * @throws UsageError
 */
export function readOptions<const Options extends ParseArgsOptionsConfig>(
  args: readonly string[],
  options: Options,
  { command = '', allowPositionals = false }: { readonly command?: string; readonly allowPositionals?: boolean } = {},
) {
  try {
    return parseArgs({ args: [...args], options, allowPositionals })
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : 'bad arguments', command)
  }
}

/** @throws UsageError */
export function readCount(name: string, value: string, { max = Infinity, command = '' } = {}): number {
  const count = Number(value)
  if (Number.isInteger(count) && count >= 1 && count <= max) return count
  throw new UsageError(`--${name} takes a whole number from 1${max === Infinity ? '' : ` to ${max}`}`, command)
}

export function isHelpWanted([first]: readonly string[]): boolean {
  return first === '--help' || first === '-h' || first === 'help'
}
