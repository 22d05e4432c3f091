import type { IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import { AppError } from './app-error.ts'
import type { ZodApp } from './zod-app.ts'

declare module 'fastify' {
  interface FastifyInstance {
    /** True from the moment the server began to close: readiness says so, and new requests are refused. */
    isDraining: () => boolean
  }
}

/** How long a half-sent request may still arrive once the server is closing. */
const lateArrivalMilliseconds = 2_000
const sweepMilliseconds = 50

/**
 * On `app.close()`: requests in hand are finished, new ones on open connections get 503 with `Connection: close`, and
 * connections without a complete request are cut after a short while. Node itself stops enforcing its request timeout
 * once a server closes, and closes idle connections only once: a slow client could hold the process until it is killed.
 */
export function installDrain(app: ZodApp): void {
  let draining = false
  let sweeper: NodeJS.Timeout | undefined
  const connections = trackConnections(app)
  app.decorate('isDraining', () => draining)
  app.addHook('preClose', async () => {
    draining = true
    const lateFrom = performance.now() + lateArrivalMilliseconds
    sweeper = setInterval(() => {
      if (performance.now() > lateFrom) cutIncomplete(connections)
    }, sweepMilliseconds).unref()
  })
  app.addHook('onClose', async () => clearInterval(sweeper))
  app.addHook('onRequest', async (request) => {
    if (!draining || request.routeOptions.config?.answersWhileDraining === true) return
    throw new AppError('unavailable', 'This instance is shutting down; please try again', { retryAfterSeconds: 1 })
  })
  app.addHook('onSend', async (_request, reply) => {
    if (draining) reply.header('connection', 'close')
  })
}

type Connections = Map<Socket, Set<IncomingMessage>>

function trackConnections(app: ZodApp): Connections {
  const connections: Connections = new Map()
  app.server.on('connection', (socket: Socket) => {
    connections.set(socket, new Set())
    socket.once('close', () => connections.delete(socket))
  })
  app.server.prependListener('request', (request, response) => {
    const requests = connections.get(request.socket)
    requests?.add(request)
    response.once('close', () => requests?.delete(request))
  })
  return connections
}

function cutIncomplete(connections: Connections): void {
  for (const [socket, requests] of connections) {
    const hasCompleteRequest = [...requests].some((request) => request.complete)
    if (!hasCompleteRequest) socket.destroy()
  }
}
