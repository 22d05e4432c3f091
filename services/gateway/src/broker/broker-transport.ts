import { Pool, type Dispatcher } from 'undici'
import { AnswerCollector, WireError, type AnswerLimits, type WireAnswer } from './answer-collector.ts'

export type WireRequest = {
  readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE'
  /** Origin form: path and query below the base URL. */
  readonly path: string
  readonly headers: Readonly<Record<string, string>>
  readonly body?: string | Buffer
  readonly limits: AnswerLimits
}

export type Transport = {
  /** @throws WireError when no whole answer came; TransportBusy when too many calls wait already. */
  readonly send: (request: WireRequest) => Promise<WireAnswer>
  /** Lets what is in flight finish. */
  readonly close: () => Promise<void>
}

/** Too many calls are waiting for a connection: refusing at once beats answering late. */
export class TransportBusy extends Error {
  override readonly name = 'TransportBusy'
}

export type TransportOptions = {
  readonly baseUrl: URL
  readonly maxConnections: number
  /** Calls in flight, those that wait for a connection included. */
  readonly maxCalls: number
}

/** Keep-alive connections to one peer, bounded in number, one call at a time on each. Redirects are not followed. */
export function createTransport(options: TransportOptions): Transport {
  const pool = new Pool(options.baseUrl.origin, {
    connections: options.maxConnections,
    pipelining: 1,
    connectTimeout: 3000,
    keepAliveTimeout: 4000,
    // the collector's one timer bounds the whole call
    headersTimeout: 0,
    bodyTimeout: 0,
    allowH2: false,
  })
  const prefix = options.baseUrl.pathname.replace(/\/$/, '')
  let calls = 0

  async function send(request: WireRequest): Promise<WireAnswer> {
    if (calls >= options.maxCalls) throw new TransportBusy('too many calls are waiting')
    calls += 1
    try {
      return await sendMaybeTwice(pool, request, prefix + request.path)
    } finally {
      calls -= 1
    }
  }

  return { send, close: () => pool.close() }
}

/** A GET whose kept-alive connection broke before a byte of the answer came is sent once more; nothing else ever is. */
async function sendMaybeTwice(pool: Pool, request: WireRequest, path: string): Promise<WireAnswer> {
  const startedAt = performance.now()
  try {
    return await sendOnce(pool, request, path, request.limits)
  } catch (error) {
    if (request.method !== 'GET' || !isBrokenConnection(error)) throw error
    const deadlineMs = Math.max(1, request.limits.deadlineMs - (performance.now() - startedAt))
    return sendOnce(pool, request, path, { ...request.limits, deadlineMs })
  }
}

function sendOnce(pool: Pool, request: WireRequest, path: string, limits: AnswerLimits): Promise<WireAnswer> {
  const collector = new AnswerCollector(limits)
  pool.dispatch(toDispatch(request, path), collector)
  return collector.answer
}

function toDispatch(request: WireRequest, path: string): Dispatcher.DispatchOptions {
  return { method: request.method, path, headers: request.headers, body: request.body ?? null }
}

function isBrokenConnection(error: unknown): boolean {
  return error instanceof WireError && error.kind === 'network' && !error.began && brokenCodes.has(codeOf(error.cause))
}

const brokenCodes: ReadonlySet<string> = new Set(['UND_ERR_SOCKET', 'ECONNRESET', 'EPIPE'])

function codeOf(cause: unknown): string {
  return cause instanceof Error && 'code' in cause ? String(cause.code) : ''
}
