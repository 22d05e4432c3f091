import { request, type IncomingMessage } from 'node:http'

export type PlainRequest = {
  readonly method: string
  readonly url: URL
  readonly headers: Readonly<Record<string, string>>
  readonly form: URLSearchParams | undefined
}

export type PlainResponse = { readonly status: number; readonly headers: Headers; readonly body: string }

/**
 * Sends a request for `url` to the server at `backend` (an http origin). Not `fetch`, which would not let the Host
 * header name another server than the one it connects to, and keeps connections that outlive a test.
 */
export async function sendPlain(backend: string, { method, url, headers, form }: PlainRequest): Promise<PlainResponse> {
  const server = new URL(backend)
  if (server.protocol !== 'http:') throw new Error(`nothing answers for ${url.origin}: name a server in hosts`)
  const body = form?.toString()
  const outgoing = request({
    agent: false,
    method,
    hostname: server.hostname.replaceAll(/[[\]]/g, ''),
    port: server.port || 80,
    path: url.pathname + url.search,
    headers: {
      host: url.host,
      ...headers,
      ...(body === undefined
        ? {}
        : { 'content-type': 'application/x-www-form-urlencoded', 'content-length': Buffer.byteLength(body) }),
    },
  })
  const answered = Promise.withResolvers<IncomingMessage>()
  outgoing.once('response', answered.resolve).once('error', answered.reject).end(body)
  const incoming = await answered.promise
  let text = ''
  for await (const chunk of incoming.setEncoding('utf8')) text += String(chunk)
  return { status: incoming.statusCode ?? 0, headers: readHeaders(incoming), body: text }
}

function readHeaders({ rawHeaders }: IncomingMessage): Headers {
  const headers = new Headers()
  for (let at = 0; at < rawHeaders.length; at += 2) headers.append(rawHeaders[at] ?? '', rawHeaders[at + 1] ?? '')
  return headers
}
