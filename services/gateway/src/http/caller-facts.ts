import type { Cidrs } from '@nexus/config'
import { clientAddress, type ZodApp } from '@nexus/service'
import type { FastifyRequest } from 'fastify'
import type { Caller } from '../operations/caller.ts'

declare module 'fastify' {
  interface FastifyRequest {
    /** Of the client, as far as TRUSTED_PROXIES let it be known (C3). */
    clientAddress: string
  }
}

/** Finds each request's client address before anything decides by it. */
export function installClientAddress(app: ZodApp, trustedProxies: Cidrs): void {
  app.decorateRequest('clientAddress', '')
  app.addHook('onRequest', (request, _reply, done) => {
    request.clientAddress = clientAddress(
      request.socket.remoteAddress,
      request.headers['x-forwarded-for'],
      trustedProxies,
    )
    done()
  })
}

export function describeCaller(request: FastifyRequest): Caller {
  return {
    requestId: request.id,
    address: request.clientAddress,
    userAgent: request.headers['user-agent'],
    agent: request.callingAgent,
  }
}
