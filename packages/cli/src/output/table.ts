import type { CliIo } from '../io.ts'
import { createPaint, printable, writeLine } from './text.ts'

type Rows = readonly (readonly string[])[]

/**
 * A table for a terminal; for whatever reads it otherwise, one line for each row, its cells apart by a tab (`cut -f 2`).
 * Both begin with the names of the columns.
 */
export function writeTable(
  { stdout, env }: Pick<CliIo, 'stdout' | 'env'>,
  columns: readonly string[],
  rows: Rows,
): void {
  const lines = rows.map((row) => row.map(printable))
  if (stdout.isTTY !== true) {
    for (const line of [columns, ...lines]) writeLine(stdout, line.join('\t'))
    return
  }
  const widths = columns.map((name, at) => Math.max(name.length, ...lines.map((line) => line[at]?.length ?? 0)))
  const draw = (line: readonly string[]): string =>
    line
      .map((cell, at) => cell.padEnd(widths[at] ?? 0))
      .join('  ')
      .trimEnd()
  writeLine(stdout, createPaint(stdout, env)('bold', draw(columns)))
  for (const line of lines) writeLine(stdout, draw(line))
}
