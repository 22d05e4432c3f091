import { Agent, EnvHttpProxyAgent, request, type Dispatcher } from 'undici'
import { createAddressGuard, type AddressGuard, type AddressGuardOptions } from './address-guard.ts'
import { decodeContent } from './content-encoding.ts'
import { ProviderError } from './provider-errors.ts'
import { type SendingHooks, withSendingHooks } from './sending-hooks.ts'

type OutboundTimeouts = {
  /** Milliseconds until the socket stands, TLS included. */
  readonly connectMs: number
  /** Milliseconds from the request sent to the answer's headers. */
  readonly headersMs: number
  /** Milliseconds between two pieces of the body. */
  readonly bodyMs: number
  /** Milliseconds for everything: what stops a peer that sends one byte a second. */
  readonly totalMs: number
}

export type OutboundFetchOptions = AddressGuardOptions & {
  /** URL of the proxy for https requests. */
  readonly httpsProxy?: string | undefined
  /** Hosts that are reached without the proxy, in the usual spelling of NO_PROXY. */
  readonly noProxy?: string | undefined
  readonly timeouts?: Partial<OutboundTimeouts>
  /** Of a body, before and after decompression; 1 MiB by default. */
  readonly maxBytes?: number
}

type OutboundRequest = {
  readonly method?: string
  readonly headers?: Headers | Readonly<Record<string, string>>
  readonly body?: string | URLSearchParams | ArrayBuffer | Uint8Array | ReadableStream | null | undefined
  readonly redirect?: string
  readonly signal?: AbortSignal | undefined
  readonly hooks?: SendingHooks | undefined
  /** Only status and headers count: what the answer's body is, and whether it ends, makes no difference. */
  readonly ignoresBody?: boolean
}

/** Takes the place of `fetch` in openid-client and jose. Its answers are whole: the body is in memory when it resolves. */
export type OutboundFetch = (url: string, init?: OutboundRequest) => Promise<Response>

const defaultTimeouts: OutboundTimeouts = {
  connectMs: 5_000,
  headersMs: 15_000,
  bodyMs: 10_000,
  totalMs: 20_000,
}

const userAgent = 'Nexus-Broker'
const ignoredBytes = 16_384

/**
 * The one way out of the process towards providers and webhooks (P4). Every request is checked by the address guard, on the
 * literal and on the addresses that the socket then uses; redirects are failures; time and bytes are bounded.
 *
 * The returned function throws ProviderError: `address` where Nexus may not go, `unavailable` for the network and the
 * deadlines, `invalid_answer` for redirects and bodies that are too large or not decodable.
 */
export function createOutboundFetch(options: OutboundFetchOptions): OutboundFetch & AsyncDisposable {
  const guard = createAddressGuard(options)
  const timeouts = { ...defaultTimeouts, ...options.timeouts }
  const maxBytes = options.maxBytes ?? 1_048_576
  const dispatchers = createDispatchers(guard, timeouts, options)

  const outboundFetch: OutboundFetch = async (url, init = {}) => {
    const target = guard.parseAllowedUrl(url)
    const deadline = AbortSignal.timeout(timeouts.totalMs)
    const signal = init.signal ? AbortSignal.any([init.signal, deadline]) : deadline
    const sent = { method: toMethod(init.method), headers: buildHeaders(init.headers), body: toBody(init.body), signal }
    try {
      // The proxy resolves the name a second time, out of our sight: names that lead inside are stopped here at least.
      if (options.httpsProxy !== undefined) await abortable(guard.assertNameAllowed(target), signal)
      const plain = target.protocol === 'https:' ? dispatchers.https : dispatchers.http
      const dispatcher = init.hooks === undefined ? plain : withSendingHooks(plain, init.hooks)
      const answer = await request(target, { ...sent, dispatcher })
      refuseStatus(answer)
      return init.ignoresBody === true ? toBareResponse(answer) : await toResponse(answer, maxBytes)
    } catch (error) {
      throw translateNetworkError(error)
    }
  }

  return Object.assign(outboundFetch, {
    [Symbol.asyncDispose]: async () => {
      await Promise.all([dispatchers.https.destroy(), dispatchers.http.destroy()])
    },
  })
}

type Dispatchers = { readonly https: Dispatcher; readonly http: Dispatcher }

function createDispatchers(
  guard: AddressGuard,
  timeouts: OutboundTimeouts,
  options: OutboundFetchOptions,
): Dispatchers {
  const shared = { headersTimeout: timeouts.headersMs, bodyTimeout: timeouts.bodyMs, allowH2: false }
  const connect = (privateOnly: boolean) => ({
    lookup: guard.createLookup({ privateOnly }),
    timeout: timeouts.connectMs,
  })
  const secure = { ...shared, connect: connect(false) }
  const { httpsProxy, noProxy = '' } = options
  return {
    https:
      httpsProxy === undefined
        ? new Agent(secure)
        : // The empty httpProxy keeps undici from looking for one in the environment, where configuration has not been checked.
          new EnvHttpProxyAgent({ ...secure, connectTimeout: timeouts.connectMs, httpsProxy, httpProxy: '', noProxy }),
    http: new Agent({ ...shared, connect: connect(true) }),
  }
}

function buildHeaders(given: OutboundRequest['headers']): Record<string, string> {
  const headers = new Headers(given)
  if (!headers.has('accept')) headers.set('accept', 'application/json')
  headers.set('accept-encoding', 'identity')
  headers.set('user-agent', userAgent)
  return Object.fromEntries(headers)
}

function toMethod(method = 'GET'): Dispatcher.HttpMethod {
  if (method === 'GET' || method === 'POST') return method
  throw new TypeError('only GET and POST are sent')
}

function toBody(body: OutboundRequest['body']): string | Uint8Array | null {
  if (body === undefined || body === null) return null
  if (body instanceof URLSearchParams) return body.toString()
  if (typeof body === 'string' || body instanceof Uint8Array) return body
  throw new TypeError('only text and bytes are sent')
}

function refuseStatus({ statusCode: status, body }: Dispatcher.ResponseData): void {
  if (status >= 200 && status <= 599 && !(status >= 300 && status <= 399)) return
  body.on('error', () => {}).destroy()
  const reason = status >= 300 && status <= 399 ? 'redirects are not followed' : 'the status is not one of HTTP'
  throw new ProviderError('invalid_answer', reason, { status })
}

function toBareResponse({ statusCode: status, headers, body }: Dispatcher.ResponseData): Response {
  // what little comes is read, so that the connection can serve again; more is cut off, and so is all at the deadline
  void body.dump({ limit: ignoredBytes })
  return new Response(null, { status, headers: copyHeaders(headers) })
}

async function toResponse(answer: Dispatcher.ResponseData, maxBytes: number): Promise<Response> {
  const { statusCode: status } = answer
  const headers = copyHeaders(answer.headers)
  const received = await readCapped(answer.body, maxBytes)
  const bytes = await decodeContent(received, headers.get('content-encoding'), maxBytes)
  // What these said is no longer true of the decoded body.
  headers.delete('content-encoding')
  headers.delete('content-length')
  return new Response(status === 204 || status === 205 ? null : new Uint8Array(bytes), { status, headers })
}

function copyHeaders(given: Dispatcher.ResponseData['headers']): Headers {
  const headers = new Headers()
  for (const [name, value] of Object.entries(given)) {
    for (const line of [value ?? []].flat()) headers.append(name, line)
  }
  return headers
}

async function readCapped(body: AsyncIterable<Uint8Array>, maxBytes: number): Promise<Buffer> {
  const chunks: Uint8Array[] = []
  let size = 0
  for await (const chunk of body) {
    size += chunk.length
    if (size > maxBytes) throw new ProviderError('invalid_answer', 'the answer is too large')
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}

/** Lets go of work that cannot be aborted itself when the signal fires. */
export async function abortable<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  const { promise, reject } = Promise.withResolvers<never>()
  const onAbort = (): void => reject(signal.reason)
  signal.addEventListener('abort', onAbort, { once: true })
  try {
    return await Promise.race([work, promise])
  } finally {
    signal.removeEventListener('abort', onAbort)
  }
}

/**
 * Keeps a network error's code or name and nothing else: undici's parser errors carry the bytes that the peer sent (P5).
 * The guard's refusals come out of the socket's lookup as they went in.
 */
function translateNetworkError(error: unknown): ProviderError {
  if (error instanceof ProviderError) return error
  const { name, code }: { name?: unknown; code?: unknown } = error instanceof Error ? error : {}
  if (name === 'TimeoutError') return new ProviderError('unavailable', 'no complete answer in time')
  if (name === 'AbortError') return new ProviderError('unavailable', 'the request was given up')
  return new ProviderError('unavailable', `no answer (${String(code ?? name)})`)
}
