import { rateLimited, rateLimitKey, type RateLimiter } from '@nexus/service'
import type { FastifyRequest } from 'fastify'

export type LimitRequest = (request: FastifyRequest) => Promise<void>

/** Keeps one address from crowding out the others on the routes that anybody may call (C6). */
export function limitByAddress(limiter: RateLimiter): LimitRequest {
  return async (request) => {
    const outcome = await limiter.check(rateLimitKey(request.clientAddress))
    if (!outcome.allowed) throw rateLimited('Too many requests from this address', outcome.retryAfterSeconds)
  }
}
