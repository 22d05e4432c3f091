/** A block of commands in a document, and what the document says of their output. */
export type Step = {
  /** Where it stands: `docs/hub.md:42`. */
  readonly place: string
  readonly script: string
  /** The block that follows it directly, `text` or `json`; undefined: the document promises nothing but success. */
  readonly expected: { readonly kind: 'text' | 'json'; readonly body: string } | undefined
}

const fences = /^```(\w+)\n(.*?)^```$/gms

/**
 * The steps of a page, in their order: blocks marked `sh` are commands, blocks marked `ts` programs for Node. A block of `text`
 * or `json` with nothing but an empty line before it is the output of the block above.
 */
export function readSteps(name: string, page: string): readonly Step[] {
  const blocks = Array.from(page.matchAll(fences), ({ 0: all, 1: kind = '', 2: body = '', index }) => ({
    kind,
    body,
    index,
    end: index + all.length,
  }))
  return blocks.flatMap(({ kind, body, index, end }, at): Step[] => {
    if (kind !== 'sh' && kind !== 'ts') return []
    const next = blocks[at + 1]
    const isOutput = next !== undefined && page.slice(end, next.index).trim() === ''
    const expected = isOutput ? asExpected(next) : undefined
    const script = kind === 'sh' ? body : asProgram(body)
    return [{ place: `${name}:${page.slice(0, index).split('\n').length}`, script, expected }]
  })
}

function asExpected({ kind, body }: { readonly kind: string; readonly body: string }): Step['expected'] {
  return kind === 'text' || kind === 'json' ? { kind, body } : undefined
}

function asProgram(body: string): string {
  return `cat > program.ts <<'END_OF_PROGRAM'\n${body}END_OF_PROGRAM\nnode program.ts\n`
}

/** Commands that are meant to fail say so in the document. */
export function isFailureExpected({ expected }: Step): boolean {
  return expected?.kind === 'text' && /^(Error:|ambiguous:)/m.test(expected.body)
}

/**
 * Whether a program said what the document shows. `…` stands for anything within its line, or within its string; blanks between
 * words may be any, since a table is drawn for a terminal and is tabs elsewhere.
 */
export function showsOutput({ expected }: Step, output: string): boolean {
  if (expected === undefined) return !output.includes('"request_id"')
  if (expected.kind === 'text') return patternOf(collapse(expected.body)).test(collapse(output))
  try {
    return fits(JSON.parse(expected.body), JSON.parse(output))
  } catch {
    return false
  }
}

function collapse(text: string): string {
  return text
    .split('\n')
    .map((line) => line.replaceAll(/[ \t]+/g, ' ').trim())
    .join('\n')
    .trim()
}

function patternOf(text: string): RegExp {
  return new RegExp(
    `^${text
      .split('…')
      .map((part) => RegExp.escape(part))
      .join('.*')}$`,
  )
}

/** The same fields and no others; a list as long as the document's. A value that is `…` and no more may be any. */
function fits(wanted: unknown, given: unknown): boolean {
  if (wanted === '…') return true
  if (typeof wanted === 'string') return typeof given === 'string' && patternOf(wanted).test(given)
  if (typeof wanted !== 'object' || wanted === null) return wanted === given
  if (typeof given !== 'object' || given === null || Array.isArray(wanted) !== Array.isArray(given)) return false
  const [ours, theirs] = [new Map(Object.entries(wanted)), new Map(Object.entries(given))]
  return (
    ours.size === theirs.size && [...ours].every(([name, value]) => theirs.has(name) && fits(value, theirs.get(name)))
  )
}
