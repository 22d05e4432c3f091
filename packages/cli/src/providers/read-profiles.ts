import { readFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import { type ProviderProfileInput, providerProfileInput } from '@nexus/contracts'
import { type Document, type ErrorCode, LineCounter, isMap, isNode, isSeq, parseDocument, visit } from 'yaml'
import type { z } from 'zod'
import { CliError } from '../errors.ts'
import type { Environment } from '../io.ts'
import { expandVariables } from './expand-variables.ts'

/** A profile of the file, and where it stands: `nexus-providers.yaml:12:5`. */
export type WantedProfile = { readonly input: ProviderProfileInput; readonly place: string }

type Source = { readonly path: string; readonly document: Document; readonly lines: LineCounter }

type NodePath = readonly (string | number)[]

/**
 * The profiles of a file: `providers:` and a list, each as the Broker's API takes it, with variables of the environment in
 * the place of `${NAME}`. They are expanded in values, after the YAML was read: what they hold can be nothing but a value.
 * @throws CliError that names every fault with its place, and repeats no value
 */
export async function readProfiles(path: string, env: Environment): Promise<readonly WantedProfile[]> {
  const lines = new LineCounter()
  const document = parseDocument(await readText(path, env), { lineCounter: lines, prettyErrors: false })
  const source = { path, document, lines }
  // the library's messages quote what they complain of, and that may be a secret
  refuse(document.errors.map(({ pos, code }) => `${placeAt(source, pos[0])}: ${describeFault(code)}`))
  refuse(expandAll(source, env))
  return toProfiles(source)
}

const usualFaults: Partial<Record<ErrorCode, string>> = {
  BLOCK_AS_IMPLICIT_KEY: 'a colon inside a value? Put the value in quotes',
  MISSING_CHAR:
    'a quote or bracket that is not closed, a colon that is missing, or a line that is not as far in as its neighbours',
  BAD_INDENT: 'a line that is not as far in as its neighbours',
  TAB_AS_INDENT: 'a tab: indent with spaces',
  MULTIPLE_DOCS: 'a line --- begins a second document: one file has one',
}

function describeFault(code: ErrorCode): string {
  if (code === 'DUPLICATE_KEY') return 'this field is there already'
  return `this is no YAML (${usualFaults[code] ?? code.toLowerCase().replaceAll('_', ' ')})`
}

/** `npm run` goes to the folder of its package first, and says where it was called. */
export function fromWhereTheyStand(path: string, { INIT_CWD: folder = '' }: Environment): string {
  return resolve(folder, path)
}

async function readText(path: string, env: Environment): Promise<string> {
  try {
    return await readFile(fromWhereTheyStand(path, env), 'utf8')
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown reason'
    throw new CliError(`${path} cannot be read (${code})`, { cause: error })
  }
}

/** In every text but the names of fields. @returns the faults */
function expandAll(source: Source, env: Environment): readonly string[] {
  const faults: string[] = []
  visit(source.document, {
    Scalar(key, node) {
      if (key === 'key' || typeof node.value !== 'string') return
      const expanded = expandVariables(node.value, env)
      if ('text' in expanded) node.value = expanded.text
      else faults.push(`${placeAt(source, node.range?.[0])}: ${expanded.problem}`)
    },
    Alias(_key, node) {
      if (node.resolve(source.document) !== undefined) return
      faults.push(
        `${placeAt(source, node.range?.[0])}: there is no such anchor; a text that begins with * needs quotes`,
      )
    },
  })
  return faults
}

function toProfiles(source: Source): readonly WantedProfile[] {
  const { document, path } = source
  const list = isMap(document.contents) ? document.get('providers', true) : undefined
  const hasOthers = isMap(document.contents) && document.contents.items.length > 1
  if (!isSeq(list) || hasOthers)
    throw new CliError(`${path}: write providers: and below it a list of profiles, nothing else`)
  const faults: string[] = []
  const profiles = list.items.flatMap((item, at): WantedProfile[] => {
    const parsed = providerProfileInput.safeParse(toValue(source, item))
    if (parsed.success) {
      // a shell would have taken its value; nobody sees in the plan that this is the secret itself
      if (/^\$[A-Za-z_]\w*$/.test(parsed.data.client_secret ?? ''))
        faults.push(
          `${placeOf(source, ['providers', at, 'client_secret'])}: client_secret: write \${NAME}, with braces`,
        )
      return [{ input: parsed.data, place: placeOf(source, ['providers', at]) }]
    }
    for (const { path: inside, problem } of parsed.error.issues.flatMap(describeIssue)) {
      faults.push(`${placeOf(source, ['providers', at, ...inside])}: ${inside.join('.') || 'profile'}: ${problem}`)
    }
    return []
  })
  refuse(faults)
  refuse(findRepeated(profiles))
  return profiles
}

function describeIssue(issue: z.core.$ZodIssue): readonly { readonly path: NodePath; readonly problem: string }[] {
  const path = issue.path.map((part) => (typeof part === 'number' ? part : String(part)))
  if (issue.code !== 'unrecognized_keys') return [{ path, problem: issue.message }]
  return issue.keys.map((key) => ({ path: [...path, key], problem: 'there is no such field' }))
}

function toValue({ document, path }: Source, item: unknown): unknown {
  try {
    return isNode(item) ? item.toJS(document) : item
  } catch (error) {
    // what is left is a bomb of aliases
    throw new CliError(`${path}: there are too many aliases`, { cause: error })
  }
}

function findRepeated(profiles: readonly WantedProfile[]): readonly string[] {
  const first = new Map<string, string>()
  return profiles.flatMap(({ input: { name }, place }) => {
    const earlier = first.get(name)
    first.set(name, earlier ?? place)
    return earlier === undefined ? [] : [`${place}: ${name} is there already, at ${earlier}`]
  })
}

/** Of the innermost thing on the way that stands in the file: a field that is missing stands nowhere. */
function placeOf(source: Source, path: NodePath): string {
  for (let length = path.length; length > 0; length--) {
    const node: unknown = source.document.getIn(path.slice(0, length), true)
    if (isNode(node) && node.range) return placeAt(source, node.range[0])
  }
  return source.path
}

function placeAt({ path, lines }: Source, offset: number | undefined): string {
  if (offset === undefined) return path
  const { line, col } = lines.linePos(offset)
  return `${path}:${line}:${col}`
}

function refuse(faults: readonly string[]): void {
  if (faults.length > 0) throw new CliError(faults.join('\n       '))
}
