import { AppError, rateLimitKey, type RateLimiter, type ZodApp } from '@nexus/service'
import type { RouteHandlerMethod } from 'fastify'
import { forwardPublicRoute, type ForwardingDeps } from './forward-public-route.ts'

export type PublicAuthDeps = ForwardingDeps & {
  /** Below `/auth/`, the same as the Broker's. */
  readonly redirectPath: string
  /** Counts requests per client address. */
  readonly limiter: RateLimiter
}

const largestForm = 64 * 1024

/**
 * The Broker's public routes, and no other: what browsers need of it passes here, so that the Broker itself can stay on
 * an inner network. Everything they answer is a page.
 */
export async function registerPublicAuth(app: ZodApp, deps: PublicAuthDeps): Promise<void> {
  const { redirectPath } = deps
  const redirectPattern = RegExp.escape(redirectPath)
  const forward =
    (pattern: RegExp, needsState = false): RouteHandlerMethod =>
    (request, reply) =>
      forwardPublicRoute(deps, { pattern, needsState }, request, reply)
  const options = { config: { public: true, answers: 'page' }, schema: { hide: true } } as const

  app.removeAllContentTypeParsers()
  app.addContentTypeParser(
    'application/x-www-form-urlencoded',
    { parseAs: 'buffer', bodyLimit: largestForm },
    (_request, body, done) => done(null, body),
  )
  app.addHook('onRequest', async (request) => {
    request.callerKind = 'browser'
    const outcome = await deps.limiter.check(rateLimitKey(request.clientAddress))
    if (outcome.allowed) return
    const { retryAfterSeconds } = outcome
    throw new AppError('rate_limited', 'Too many requests from this address', { retryAfterSeconds })
  })

  const toConnect = forward(/^\/auth\/connect\/[A-Za-z0-9_-]{1,256}$/)
  app.get('/auth/connect/:ticket', options, toConnect)
  app.post('/auth/connect/:ticket', options, toConnect)

  const toRedirect = forward(new RegExp(`^${redirectPattern}$`), true)
  app.get(redirectPath, options, toRedirect)
  app.post(redirectPath, options, toRedirect)

  const toDistinctRedirect = forward(new RegExp(`^${redirectPattern}/[a-z0-9-]{1,64}$`), true)
  app.get(`${redirectPath}/:provider`, options, toDistinctRedirect)
  app.post(`${redirectPath}/:provider`, options, toDistinctRedirect)

  app.get('/auth/assets/*', options, forward(/^\/auth\/assets(?:\/[A-Za-z0-9_-][A-Za-z0-9._-]*)+$/))
}
