import { statusByCode, type ErrorBody, type ErrorCode } from '@nexus/contracts'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { AppError, isAppError } from './app-error.ts'
import { type Brand, problemPage, sendPage } from './pages.ts'
import type { PageKind } from './page-texts.ts'
import { setSecurityHeaders } from './security-headers.ts'
import { internalError, translateError } from './translate-error.ts'
import type { ZodApp } from './zod-app.ts'

export type ErrorHandlerOptions = {
  /** Translates the errors of the service's own libraries (a database that is away, say); undefined leaves it to us. */
  readonly translate?: (error: unknown) => AppError | undefined
  /** The page for a failure on a page route, where the service knows better than the code alone tells. */
  readonly pageKindOf?: (error: AppError, request: FastifyRequest) => PageKind | undefined
  /** Whose pages the failures look like. */
  readonly brand?: () => Brand
}

/** The only place where a code becomes an HTTP status: JSON for programs, a page for browsers below `/auth/`. */
export function installErrorHandler(app: ZodApp, options: ErrorHandlerOptions = {}): void {
  app.setErrorHandler((error, request, reply) => answerError(error, request, reply, options))
  app.setNotFoundHandler((request, reply) =>
    answerError(new AppError('route_not_found', 'There is no such route'), request, reply, options),
  )
}

/** Answers a failure. Exported for the places that Fastify's error handler does not cover. */
export function answerError(
  thrown: unknown,
  request: FastifyRequest,
  reply: FastifyReply,
  options: ErrorHandlerOptions = {},
): FastifyReply {
  const error = resolveError(thrown, options)
  const status = statusByCode[error.code]
  request.errorCode = error.code
  logFailure(request, thrown, error, status)
  setSecurityHeaders(reply)
  if (error.retryAfterSeconds !== undefined) {
    reply.header('retry-after', String(Math.max(1, Math.ceil(error.retryAfterSeconds))))
  }
  if (wantsPage(request)) {
    const kind = options.pageKindOf?.(error, request) ?? pageKindByStatus(error, status)
    return sendPage(reply, status, problemPage(kind, { requestId: request.id, brand: options.brand?.() }))
  }
  const challenge = bearerChallenges[error.code]
  if (challenge !== undefined) reply.header('www-authenticate', challenge)
  // a string goes around the route's response schema, which need not know this status
  return reply
    .code(status)
    .type('application/json; charset=utf-8')
    .send(JSON.stringify(errorBody(error, request.id)))
}

function resolveError(thrown: unknown, options: ErrorHandlerOptions): AppError {
  try {
    return translateError(isAppError(thrown) ? thrown : (options.translate?.(thrown) ?? thrown))
  } catch (fault) {
    return internalError(fault)
  }
}

function errorBody(error: AppError, requestId: string): ErrorBody {
  return {
    code: error.code,
    message: error.message,
    request_id: requestId,
    ...(error.details === undefined ? {} : { details: { ...error.details } }),
  }
}

// RFC 6750 §3: no error attribute when no token was shown at all
const bearerChallenges: Partial<Record<ErrorCode, string>> = {
  missing_bearer_token: 'Bearer realm="nexus-hub"',
  invalid_token: 'Bearer realm="nexus-hub", error="invalid_token"',
}

function logFailure(request: FastifyRequest, thrown: unknown, error: AppError, status: number): void {
  if (status === 500) request.log.error({ err: thrown, error_code: error.code }, 'request failed')
  else if (status > 500) request.log.warn({ err: thrown, error_code: error.code }, 'request could not be served')
  // a framework's error quotes the URL
  else request.log.debug({ err: isAppError(thrown) ? thrown : undefined, error_code: error.code }, 'request refused')
}

/** What the route declares counts; below `/auth/` it is else the Accept header, since browsers always name text/html. */
function wantsPage(request: FastifyRequest): boolean {
  const declared = request.routeOptions.config?.answers
  if (declared !== undefined) return declared === 'page'
  return (
    isAuthPath(request.routeOptions.url ?? request.raw.url) && request.headers.accept?.includes('text/html') === true
  )
}

function isAuthPath(path: string | undefined): boolean {
  return path?.startsWith('/auth/') === true
}

const pageKinds: Partial<Record<ErrorCode, PageKind>> = {
  link_expired: 'expired-link',
  already_completed: 'already-completed',
  provider_unavailable: 'provider-problem',
  provider_rejected: 'provider-problem',
  rate_limited: 'try-again-later',
}

function pageKindByStatus(error: AppError, status: number): PageKind {
  const kind = pageKinds[error.code]
  if (kind !== undefined) return kind
  if (status >= 500) return 'try-again-later'
  return status === 401 || status === 403 ? 'not-allowed' : 'invalid-link'
}
