import { once } from 'node:events'
import { createServer, type RequestListener, type Server } from 'node:http'
import type { Server as TcpServer } from 'node:net'
import { onTestFinished } from 'vitest'
import type { ResolveName } from '../src/oauth/address-guard.ts'
import { createOutboundFetch, type OutboundFetch, type OutboundFetchOptions } from '../src/oauth/outbound-fetch.ts'

export type OutboundPeer = {
  readonly port: number
  readonly url: string
  readonly requests: readonly {
    readonly url: string | undefined
    readonly headers: Readonly<Record<string, unknown>>
  }[]
}

/** Listens on loopback until the test ends; returns the port. */
export async function listen(server: Server | TcpServer): Promise<number> {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(async () => {
    if ('closeAllConnections' in server) server.closeAllConnections()
    server.close()
    await once(server, 'close')
  })
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('a TCP server has no port')
  return address.port
}

/** An HTTP server that remembers what it was asked. */
export async function startPeer(answer: RequestListener = (_, response) => response.end('{}')): Promise<OutboundPeer> {
  const requests: OutboundPeer['requests'][number][] = []
  const server = createServer((request, response) => {
    requests.push({ url: request.url, headers: request.headers })
    answer(request, response)
  })
  const port = await listen(server)
  return { port, url: `http://127.0.0.1:${port}`, requests }
}

/** An outbound fetch with private networks open, unless told otherwise, until the test ends. */
export function openFetch(options: Partial<OutboundFetchOptions> = {}): OutboundFetch {
  const outbound = createOutboundFetch({ allowPrivateNetworks: true, ...options })
  onTestFinished(() => outbound[Symbol.asyncDispose]())
  return outbound
}

/** A resolver that knows one answer. */
export function resolveTo(...addresses: readonly string[]): ResolveName {
  return async () => addresses.map((address) => ({ address, family: 4 }))
}
