import { captureLimit } from '@nexus/contracts'
import type { ZodApp } from '@nexus/service'
import type { RouteHandlerMethod } from 'fastify'
import type { LimitRequest } from '../http/limit-by-address.ts'
import { forwardPublicRoute, type ForwardingDeps, type PublicRoute } from './forward-public-route.ts'

export type PublicAuthDeps = ForwardingDeps & {
  /** Below `/auth/`, the same as the Broker's. */
  readonly redirectPath: string
  readonly limitPublicRoutes: LimitRequest
}

const largestForm = 64 * 1024

/**
 * The Broker's public routes, and no other: what browsers need of it passes here, so that the Broker itself can stay on
 * an inner network. Everything they answer is a page, but for those that forms of apps' own call.
 */
export async function registerPublicAuth(app: ZodApp, deps: PublicAuthDeps): Promise<void> {
  const { redirectPath } = deps
  const redirectPattern = RegExp.escape(redirectPath)
  const forward =
    (pattern: RegExp, needsState = false, bodyType: PublicRoute['bodyType'] = 'form'): RouteHandlerMethod =>
    (request, reply) =>
      forwardPublicRoute(deps, { pattern, needsState, bodyType }, request, reply)
  const options = { config: { public: true, answers: 'page' }, schema: { hide: true } } as const

  app.removeAllContentTypeParsers()
  app.addContentTypeParser(
    'application/x-www-form-urlencoded',
    { parseAs: 'buffer', bodyLimit: largestForm },
    (_request, body, done) => done(null, body),
  )
  app.addHook('onRequest', async (request) => {
    request.callerKind = 'browser'
    await deps.limitPublicRoutes(request)
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

  const forApps = { config: { public: true, answers: 'json' }, schema: { hide: true } } as const
  app.get('/auth/capture-schema', forApps, forward(/^\/auth\/capture-schema$/, true))
  await app.register(async (scope) => {
    scope.removeAllContentTypeParsers()
    scope.addContentTypeParser(
      'application/json',
      { parseAs: 'buffer', bodyLimit: captureLimit },
      (_request, body, done) => done(null, body),
    )
    scope.post('/auth/capture-credential', forApps, forward(/^\/auth\/capture-credential$/, true, 'json'))
  })

  app.get('/auth/assets/*', options, forward(/^\/auth\/assets(?:\/[A-Za-z0-9_-][A-Za-z0-9._-]*)+$/))
}
