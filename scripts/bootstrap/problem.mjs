/** A reason to stop that the person can do something about: told in one line, without a stack. */
export class Problem extends Error {}

/**
 * Says something to the person, beside the script's own output.
 *
 * @param {string} text
 */
export function say(text) {
  process.stderr.write(`${text}\n`)
}

/** @param {unknown} error */
export function codeOf(error) {
  return error instanceof Error && 'code' in error ? String(error.code) : String(error)
}
