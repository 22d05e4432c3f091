import { randomBytes } from 'node:crypto'
import { fastify, LogController, type FastifyBaseLogger } from 'fastify'
import { serializerCompiler, validatorCompiler, type ZodTypeProvider } from 'fastify-type-provider-zod'
import { installAccessLog, logAnswer } from './access-log.ts'
import { answerClientError } from './client-error.ts'
import { limitConnections, type ConnectionLimits } from './connection-limit.ts'
import { installDrain } from './drain.ts'
import { answerError, installErrorHandler, type ErrorHandlerOptions } from './error-handler.ts'
import { installJsonParser } from './json-body.ts'
import type { Logger } from './logger.ts'
import { observeAnswer, observeRequests, type Metrics } from './metrics.ts'
import { createRequestIds } from './request-id.ts'
import { installSecurityHeaders } from './security-headers.ts'
import { installQueryCheck, parseParameters } from './strict-parameters.ts'
import { createUuidV7, drawAhead } from './uuid-v7.ts'
import type { ZodApp } from './zod-app.ts'

/** Milliseconds. How long a client may take, and how long a connection may do nothing. */
export type ServerTimeouts = {
  /** For all headers of a request. */
  readonly headers: number
  /** For a whole request, body included. Ends with the last byte, so it does not cut long work. */
  readonly request: number
  /** Between two requests of a connection; longer than common load balancers keep theirs, who else would lose races. */
  readonly keepAlive: number
  /** Without a byte in either direction; longer than the longest wait of any handler. */
  readonly idle: number
  /** How often the first two are enforced. */
  readonly check: number
}

export type ServerOptions = {
  readonly logger: Logger
  /** Observed by every request when given. */
  readonly metrics?: Metrics
  readonly errors?: ErrorHandlerOptions
  /** Bytes; 1 MiB unless said. */
  readonly bodyLimit?: number
  readonly timeouts?: Partial<ServerTimeouts>
  readonly connections?: Partial<ConnectionLimits>
  /** Makes request ids; UUIDv7 unless said. */
  readonly createId?: () => string
}

const defaultTimeouts: ServerTimeouts = {
  headers: 10_000,
  request: 30_000,
  keepAlive: 72_000,
  idle: 90_000,
  check: 1_000,
}

const longestPathParameter = 512

/**
 * A Fastify instance on which everything both services want by default is already installed: request ids, security
 * headers, the access log, metrics, strict JSON and query parsing, the error handler, limits and a clean drain.
 * Routes, authentication and whatever else is the service's own come on top.
 */
export function createServer(options: ServerOptions): ZodApp {
  const app = instantiate(options).withTypeProvider<ZodTypeProvider>()
  app.setValidatorCompiler(validatorCompiler)
  app.setSerializerCompiler(serializerCompiler)
  app.decorateRequest('callerKind', undefined)
  app.decorateRequest('errorCode', undefined)
  app.decorateRequest('hasOwnRecord', false)
  limitConnections(app.server, options.connections)

  // the order of the hooks is the order in which a request meets them
  installSecurityHeaders(app)
  installAccessLog(app)
  if (options.metrics !== undefined) observeRequests(app, options.metrics)
  installDrain(app)
  installQueryCheck(app)
  installJsonParser(app)
  installErrorHandler(app, options.errors)
  return app
}

function instantiate(options: ServerOptions) {
  const logger: FastifyBaseLogger = options.logger
  const timeouts = { ...defaultTimeouts, ...options.timeouts }
  const createId = options.createId ?? createUuidV7(Date.now, drawAhead(randomBytes))
  return fastify({
    loggerInstance: logger,
    logController: new LogController({ disableRequestLogging: true, requestIdLogLabel: 'request_id' }),
    genReqId: createRequestIds(createId),
    requestIdHeader: false,
    // addresses are read by clientAddress(), which knows how far proxies are trusted
    trustProxy: false,
    bodyLimit: options.bodyLimit ?? 1_048_576,
    // a HEAD route runs the GET's handler, which on some routes uses something up
    exposeHeadRoutes: false,
    requestTimeout: timeouts.request,
    connectionTimeout: timeouts.idle,
    keepAliveTimeout: timeouts.keepAlive,
    forceCloseConnections: 'idle',
    // Fastify's own 503 has another form than our errors; installDrain() answers instead
    return503OnClosing: false,
    http: {
      headersTimeout: timeouts.headers,
      connectionsCheckingInterval: timeouts.check,
      maxHeaderSize: 16_384,
    },
    routerOptions: {
      caseSensitive: true,
      ignoreTrailingSlash: false,
      maxParamLength: longestPathParameter,
      querystringParser: parseParameters,
    },
    clientErrorHandler: (error, socket) => answerClientError(error, socket, { logger: options.logger, createId }),
    frameworkErrors: (error, request, reply) => {
      answerError(error, request, reply.header('x-request-id', request.id), options.errors)
      logAnswer(request, reply)
      if (options.metrics !== undefined) observeAnswer(options.metrics, request, reply)
    },
  })
}
