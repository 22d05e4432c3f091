import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { buffer } from 'node:stream/consumers'
import type { WireRequest } from './check-aws-signature.ts'
import { type Credential, findCredentialFault } from './credential-check.ts'

/** A request that came, and what was found wrong with its credential. */
export type ApiRequest = WireRequest & { readonly fault: string | undefined }

/** Answers in place of the check, for one path. */
export type ApiHandler = (request: ApiRequest, response: ServerResponse) => void

/**
 * An API that wants a credential and knows only one. It answers 200 with `{"method", "target", "body"}` as they arrived,
 * or 401 with `{"error"}`, which says what is wrong.
 */
export type ApiServer = AsyncDisposable & {
  /** `http://127.0.0.1:<port>` */
  readonly url: string
  /** In order of arrival. */
  readonly requests: readonly ApiRequest[]
  /** From now on it knows this credential and no other. */
  readonly accept: (credential: Credential) => void
  /** Hands the requests for `path` to `handler`. */
  readonly handle: (path: string, handler: ApiHandler) => void
}

/** Starts an API on a free port of 127.0.0.1. Until it is told what to accept it refuses everything. */
export async function startApiServer(credential?: Credential): Promise<ApiServer> {
  const requests: ApiRequest[] = []
  const handlers = new Map<string, ApiHandler>()
  let accepted = credential
  const server = createServer((incoming, response) => {
    // a client that went away while it sent is no fault of the API
    serve(incoming, response).catch(() => response.destroy())
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('a TCP server has no port')

  const serve = async (incoming: IncomingMessage, response: ServerResponse): Promise<void> => {
    const arrived = await readRequest(incoming)
    const fault = accepted === undefined ? 'no credential is known yet' : findCredentialFault(arrived, accepted)
    const request = { ...arrived, fault }
    requests.push(request)
    const handler = handlers.get(arrived.target.split('?', 1).join(''))
    if (handler !== undefined) return handler(request, response)
    if (fault !== undefined) return answer(response, 401, { error: fault })
    return answer(response, 200, { method: arrived.method, target: arrived.target, body: arrived.body.toString() })
  }
  return {
    url: `http://127.0.0.1:${address.port}`,
    requests,
    accept: (next) => void (accepted = next),
    handle: (path, handler) => void handlers.set(path, handler),
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
}

async function readRequest(incoming: IncomingMessage): Promise<WireRequest> {
  const { method = '', url: target = '', rawHeaders } = incoming
  const headers = rawHeaders.flatMap((name, index) => (index % 2 === 0 ? [[name, rawHeaders[index + 1] ?? '']] : []))
  return {
    method,
    target,
    headers: headers.map(([name = '', value = '']) => [name, value]),
    body: await buffer(incoming),
  }
}

function answer(response: ServerResponse, status: number, body: object): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
}
