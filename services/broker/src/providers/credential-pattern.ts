import { RE2JS } from 're2js'
import type { CredentialSchemaFault, SchemaProperty } from './schema-rules.ts'

/** Characters of a value where its schema says nothing less: no pattern ever sees more. */
export const longestValue = 8192

const longestPattern = 500
// RE2 takes as many steps as the value has characters times the instructions of the pattern: these are about a second
const mostSteps = 8_000_000

/** For ajv. A pattern is the operator's, and the value a stranger's: no pair of them may hold up the process. */
export const linearRegExp = Object.assign(
  (pattern: string) => {
    const compiled = RE2JS.compile(pattern)
    // ajv tells patterns apart by their text
    return { test: (value: string) => compiled.matcher(value).find(), toString: () => pattern }
  },
  { code: 'unused: nothing is compiled to files' },
)

export function findPatternFault(place: string, { pattern }: SchemaProperty): CredentialSchemaFault | undefined {
  if (typeof pattern !== 'string') return undefined
  const at = `${place}.pattern`
  if (pattern.length > longestPattern) return { place: at, problem: `must have at most ${longestPattern} characters` }
  // front ends that draw their own form read it as JSON Schema says: as JavaScript does
  if (compiles(() => new RegExp(pattern, 'u')) && compiles(() => RE2JS.compile(pattern))) return undefined
  const problem =
    'must be a regular expression that both JavaScript (with the flag u) and RE2 know: without look-around and back-references'
  return { place: at, problem }
}

function compiles(compile: () => unknown): boolean {
  try {
    compile()
    return true
  } catch {
    return false
  }
}

/**
 * Linear in the value is not yet quick: repeats within repeats make programs of tens of thousands of instructions, each of
 * which may look at each character. What all patterns of a form can cost together is bounded.
 * @param properties - whose patterns compile
 */
export function findCostlyPattern(
  properties: Readonly<Record<string, SchemaProperty>>,
): CredentialSchemaFault | undefined {
  let steps = 0
  for (const [name, { pattern, maxLength }] of Object.entries(properties)) {
    if (typeof pattern !== 'string') continue
    const longest = typeof maxLength === 'number' ? Math.min(maxLength, longestValue) : longestValue
    steps += RE2JS.compile(pattern).programSize() * longest
    if (steps > mostSteps) {
      const problem = 'could take too long on a long value: repeat less, or give the field a smaller maxLength'
      return { place: `.properties.${name}.pattern`, problem }
    }
  }
  return undefined
}
