import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { buffer } from 'node:stream/consumers'

export type RecordedRequest = {
  readonly method: string
  /** The request target, byte for byte. */
  readonly target: string
  readonly headers: IncomingMessage['headers']
  readonly rawHeaders: readonly string[]
  readonly body: string
}

export type ScriptedAnswer = {
  readonly status?: number
  readonly headers?: Readonly<Record<string, string | readonly string[]>>
  /** Objects are sent as JSON. */
  readonly body?: unknown
}

/** Takes the answer into its own hands: to hang, to break off, to lie. */
export type Handler = (response: ServerResponse, request: RecordedRequest) => void | Promise<void>

/** A Broker that says what a test tells it to, over real HTTP. Disposing of it fails for an answer nobody asked for. */
export type ScriptedBroker = AsyncDisposable & {
  readonly port: number
  readonly url: string
  /** Everything that reached it. */
  readonly requests: readonly RecordedRequest[]
  /** Answers `METHOD /path` (without query) from now on. */
  readonly answer: (route: string, answer: ScriptedAnswer | Handler) => void
}

type Script = { answer: ScriptedAnswer | Handler; used: boolean }

export async function startScriptedBroker(): Promise<ScriptedBroker> {
  const requests: RecordedRequest[] = []
  const scripts = new Map<string, Script>()
  const server = createServer((request, response) => void respond(request, response))

  async function respond(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const recorded = await record(request)
    requests.push(recorded)
    const script = scripts.get(`${recorded.method} ${recorded.target.split('?', 1).join('')}`)
    if (script === undefined) return send(response, { status: 404, body: { code: 'route_not_found', message: 'none' } })
    script.used = true
    if (typeof script.answer === 'function') await script.answer(response, recorded)
    else send(response, script.answer)
  }

  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('a TCP server has no port')
  return {
    port: address.port,
    url: `http://127.0.0.1:${address.port}`,
    requests,
    answer: (route, answer) => void scripts.set(route, { answer, used: false }),
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
      const unused = [...scripts].filter(([, script]) => !script.used).map(([route]) => route)
      if (unused.length > 0) throw new Error(`the Broker was never asked for: ${unused.join(', ')}`)
    },
  }
}

async function record(request: IncomingMessage): Promise<RecordedRequest> {
  return {
    method: request.method ?? '',
    target: request.url ?? '',
    headers: request.headers,
    rawHeaders: request.rawHeaders,
    body: (await buffer(request)).toString('latin1'),
  }
}

function send(response: ServerResponse, { status = 200, headers = {}, body }: ScriptedAnswer): void {
  const isText = typeof body === 'string' || body === undefined
  if (!isText) response.setHeader('content-type', 'application/json; charset=utf-8')
  for (const [name, value] of Object.entries(headers)) response.setHeader(name, value)
  response.writeHead(status).end(isText ? body : JSON.stringify(body))
}
