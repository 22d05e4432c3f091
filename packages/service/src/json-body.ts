import { AppError, invalidField } from './app-error.ts'
import { isPrototypeName } from './prototype-names.ts'
import type { ZodApp } from './zod-app.ts'

export const maxJsonDepth = 32

/**
 * Replaces Fastify's body parsers: JSON only, with bounded nesting and without prototype names. An empty body is no
 * body, as many clients name a type and send nothing; a route that needs one refuses it with a clear message.
 */
export function installJsonParser(app: ZodApp): void {
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('application/json', { parseAs: 'buffer' }, (request, body, done) => {
    try {
      done(null, request.is404 ? undefined : readBody(body, request.routeOptions.schema?.body !== undefined))
    } catch (error) {
      done(error instanceof Error ? error : new Error('body parser', { cause: error }))
    }
  })
}

function readBody(body: string | Buffer, isExpected: boolean): unknown {
  const bytes = Buffer.from(body)
  if (bytes.length > 0) return parseJson(bytes)
  if (isExpected) throw refuse('The body is empty; a JSON document is expected')
  return undefined
}

/**
 * Parses a JSON document of a caller.
 *
 * @throws AppError `invalid_request` for malformed UTF-8 or JSON, nesting deeper than `maxJsonDepth`, a key that stands
 * twice in one object (RFC 7493 §2.3), `__proto__` or `constructor` as a key. No `cause`: V8's syntax errors quote the document, which may hold a credential.
 */
export function parseJson(bytes: Uint8Array): unknown {
  if (exceedsDepth(bytes)) throw refuse(`The body is nested deeper than ${maxJsonDepth} levels`)
  const { text, value } = parse(bytes)
  const name = findPrototypeName(value)
  if (name !== undefined) throw refuse(`"${name}" is not a possible field name`)
  const repeated = findRepeatedName(text)
  if (repeated !== undefined) throw refuseField(repeated, 'was given more than once')
  return value
}

function parse(bytes: Uint8Array): { readonly text: string; readonly value: unknown } {
  try {
    const text = new TextDecoder('utf-8', { fatal: true }).decode(bytes)
    return { text, value: JSON.parse(text) }
  } catch {
    throw refuse('The body is not valid JSON')
  }
}

const tokens = /"[^"\\]*(?:\\.[^"\\]*)*"|[{}[\]:]/g

/**
 * The first key that stands twice in one object of a document known to be valid. The parser takes the last of them;
 * whoever checked the document before us may have taken the first.
 */
function findRepeatedName(text: string): string | undefined {
  const open: (Set<string> | undefined)[] = []
  let latest = ''
  for (const [token] of text.matchAll(tokens)) {
    if (token === '{') open.push(new Set())
    else if (token === '[') open.push(undefined)
    else if (token === '}' || token === ']') open.pop()
    else if (token !== ':') latest = token
    else {
      const names = open.at(-1)
      const name = latest.includes('\\') ? String(JSON.parse(latest)) : latest.slice(1, -1)
      if (names?.has(name) === true) return name
      names?.add(name)
    }
  }
  return undefined
}

const quote = 0x22
const backslash = 0x5c
const openers: ReadonlySet<number> = new Set([0x5b, 0x7b])
const closers: ReadonlySet<number> = new Set([0x5d, 0x7d])

/** Counts brackets outside strings before anything is built: the parser itself would recurse as deep as it is told. */
function exceedsDepth(bytes: Uint8Array): boolean {
  let depth = 0
  let isInString = false
  for (let index = 0; index < bytes.length; index += 1) {
    const byte = bytes[index] ?? 0
    if (isInString) {
      if (byte === backslash) index += 1
      else if (byte === quote) isInString = false
    } else if (byte === quote) isInString = true
    else if (openers.has(byte)) {
      depth += 1
      if (depth > maxJsonDepth) return true
    } else if (closers.has(byte)) depth -= 1
  }
  return false
}

function findPrototypeName(value: unknown): string | undefined {
  if (typeof value !== 'object' || value === null) return undefined
  for (const [name, inner] of Object.entries(value)) {
    if (!Array.isArray(value) && isPrototypeName(name)) return name
    const found = findPrototypeName(inner)
    if (found !== undefined) return found
  }
  return undefined
}

function refuse(message: string): AppError {
  return new AppError('invalid_request', message)
}

function refuseField(name: string, problem: string): AppError {
  return invalidField(name.toWellFormed().slice(0, 100), problem)
}
