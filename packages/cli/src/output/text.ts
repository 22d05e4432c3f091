import { styleText } from 'node:util'
import type { CliIo, OutputStream } from '../io.ts'

/** What a text is in a report: names of `util.styleText`. */
type Style = 'bold' | 'dim' | 'green' | 'red' | 'yellow'

export type Paint = (style: Style, text: string) => string

/** Colours for a terminal that shows them, and whose user wants them (https://no-color.org). */
export function createPaint(stream: OutputStream, env: CliIo['env']): Paint {
  const isPlain = stream.isTTY !== true || (env['NO_COLOR'] ?? '') !== '' || env['TERM'] === 'dumb'
  return isPlain ? (_style, text) => text : (style, text) => styleText(style, text, { validateStream: false })
}

/**
 * Text of somebody else, fit for a terminal: what would move the cursor, change the title or turn the direction of writing
 * becomes visible.
 */
export function printable(text: string): string {
  return text.replaceAll(
    /[\p{Cc}\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/gu,
    (character) => `\\u${(character.codePointAt(0) ?? 0).toString(16).padStart(4, '0')}`,
  )
}

/** The same of what is written in lines of our own. */
export function printableLines(text: string): string {
  return text.split('\n').map(printable).join('\n')
}

export function writeLine(stream: OutputStream, line: string): void {
  stream.write(`${line}\n`)
}

/** What `printable` does to texts is how JSON writes these characters too, and its own are none of them but the lines. */
export function writeJson(stream: OutputStream, value: unknown): void {
  writeLine(stream, printableLines(JSON.stringify(value, undefined, 2)))
}
