import { isAppError } from './app-error.ts'

export type SerializedError = {
  readonly name: string
  readonly message: string
  readonly code?: string | number
  readonly detail?: string
  readonly stack?: string
  readonly cause?: SerializedError
  readonly errors?: readonly SerializedError[]
}

const longestChain = 5
const longestText = 4_000

/**
 * What a log may know of an error: name, code, message, stack, and the same of its causes. No other property: errors of
 * HTTP clients carry whole response bodies, those of drivers the rows they refused.
 */
export function serializeError(error: unknown, depth = 0): SerializedError {
  if (!(error instanceof Error)) return { name: typeof error, message: 'something that is no Error was thrown' }
  const { message, stack } = isQuotingSyntaxError(error)
    ? { message: 'not valid JSON', stack: withoutMessage(error) }
    : { message: cut(error.message), stack: error.stack }
  return {
    name: cut(error.name),
    ...readCode(error),
    message,
    ...(isAppError(error) && error.internalDetail !== undefined ? { detail: cut(error.internalDetail) } : {}),
    ...(stack === undefined ? {} : { stack: cut(stack) }),
    ...readInner(error, depth),
  }
}

function readInner(error: Error, depth: number): Pick<SerializedError, 'cause' | 'errors'> {
  if (depth >= longestChain) return {}
  return {
    ...(error.cause === undefined ? {} : { cause: serializeError(error.cause, depth + 1) }),
    ...(error instanceof AggregateError
      ? { errors: error.errors.slice(0, longestChain).map((inner) => serializeError(inner, depth + 1)) }
      : {}),
  }
}

function readCode(error: Error): Pick<SerializedError, 'code'> {
  if (!('code' in error)) return {}
  const { code } = error
  if (typeof code === 'number') return { code }
  return typeof code === 'string' ? { code: code.slice(0, 100) } : {}
}

/** V8 quotes the document around a JSON fault, and that document may be a token answer. */
function isQuotingSyntaxError(error: Error): boolean {
  return error instanceof SyntaxError && error.message.includes('JSON')
}

function withoutMessage(error: Error): string {
  const frames = error.stack?.split('\n').filter((line) => /^\s+at /.test(line)) ?? []
  return [error.name, ...frames].join('\n')
}

function cut(text: string): string {
  return text.length > longestText ? `${text.slice(0, longestText)}…` : text
}
