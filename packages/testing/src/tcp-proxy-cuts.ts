import type { Direction, PatternOptions } from './tcp-proxy.ts'

/** Decides when a connection is cut. It looks at the chunks of every connection and keeps what it must remember of each. */
export type Cut = {
  readonly direction: Direction
  /** The number of bytes of this chunk that still pass before the cut; `undefined`: not yet. */
  readonly inspect: (connection: object, chunk: Buffer) => number | undefined
  readonly done: () => void
}

export function createByteCut(direction: Direction, bytes: number, done: () => void): Cut {
  const left = new WeakMap<object, number>()
  const inspect: Cut['inspect'] = (connection, chunk) => {
    const before = left.get(connection) ?? bytes
    left.set(connection, before - chunk.length)
    return chunk.length >= before ? before : undefined
  }
  return { direction, inspect, done }
}

export function createPatternCut(
  direction: Direction,
  pattern: Buffer,
  { occurrence = 1, deliver = false }: PatternOptions,
  done: () => void,
): Cut {
  if (pattern.length === 0) throw new Error('a cut needs a pattern')
  // the end of what went before: a pattern may straddle two chunks
  const tails = new WeakMap<object, Buffer>()
  let seen = 0
  const inspect: Cut['inspect'] = (connection, chunk) => {
    const tail = tails.get(connection) ?? Buffer.alloc(0)
    const text = Buffer.concat([tail, chunk])
    for (let at = text.indexOf(pattern); at !== -1; at = text.indexOf(pattern, at + pattern.length)) {
      seen += 1
      if (seen < occurrence) continue
      return deliver ? at + pattern.length - tail.length : Math.max(0, at - tail.length)
    }
    tails.set(connection, keepTail(text, pattern))
    return undefined
  }
  return { direction, inspect, done }
}

/** Nothing of a match that was counted already may count again. */
function keepTail(text: Buffer, pattern: Buffer): Buffer {
  const lastMatch = text.lastIndexOf(pattern)
  const from = Math.max(text.length - pattern.length + 1, lastMatch === -1 ? 0 : lastMatch + pattern.length)
  return text.subarray(Math.max(0, from))
}
