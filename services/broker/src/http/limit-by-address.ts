import { type RateLimiter, rateLimited, rateLimitKey } from '@nexus/service'
import type { FastifyRequest } from 'fastify'

/** Keeps one address from crowding out the others on the routes that anybody may call (C6). */
export function limitByAddress(limiter: RateLimiter): (request: FastifyRequest) => Promise<void> {
  return async (request) => {
    const outcome = await limiter.check(rateLimitKey(request.origin.address ?? ''))
    if (outcome.allowed) return
    throw rateLimited('Too many requests from this address; try again shortly.', outcome.retryAfterSeconds)
  }
}
