import type { FastifyReply, FastifyRequest } from 'fastify'
import type { ZodApp } from './zod-app.ts'

/**
 * Echoes the request id and writes one line per answered request: the route's pattern, never the URL, which carries
 * tickets, codes and states (duty H9). Requests that the service records itself (`hasOwnRecord`) get no second line.
 */
export function installAccessLog(app: ZodApp): void {
  app.addHook('onRequest', async (request, reply) => {
    reply.header('x-request-id', request.id)
  })
  app.addHook('onResponse', async (request, reply) => {
    if (!request.hasOwnRecord) logAnswer(request, reply)
  })
  app.addHook('onRequestAbort', async (request) => {
    if (!request.hasOwnRecord) request.log.info(describeRequest(request), 'client went away before the answer')
  })
}

/** Exported for answers that no hook sees: those to URLs that the router refuses. */
export function logAnswer(request: FastifyRequest, reply: FastifyReply): void {
  const milliseconds = Math.round(reply.elapsedTime)
  request.log.info({ ...describeRequest(request), status: reply.statusCode, ms: milliseconds }, 'request answered')
}

function describeRequest(request: FastifyRequest) {
  return {
    method: request.method,
    route: request.routeOptions.url ?? 'unmatched',
    caller: request.callerKind,
    error_code: request.errorCode,
  }
}
