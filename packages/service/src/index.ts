export { AppError, invalidField, isAppError, type AppErrorOptions, type ErrorDetails } from './app-error.ts'
export { clientAddress } from './client-address.ts'
export type { ConnectionLimits } from './connection-limit.ts'
export { createServer, type ServerOptions, type ServerTimeouts } from './create-server.ts'
export { createElapsedClock } from './elapsed-clock.ts'
export type { ErrorHandlerOptions } from './error-handler.ts'
export { registerHealth, type HealthOptions, type Readiness } from './health.ts'
export { parseJson } from './json-body.ts'
export { html, type SafeHtml } from './html.ts'
export { createLogger, type Logger, type LoggerOptions, type LogLevel } from './logger.ts'
export { createMetrics, renderMetrics, type Metrics } from './metrics.ts'
export { buildOpenApi, registerOpenApi, type OpenApiInfo, type SecurityScheme } from './openapi.ts'
export { brandStylesheetPath, logoPath, pageScriptPath, pageStylesheetPath } from './page-assets.ts'
export { pageScript } from './page-script.ts'
export { pagePalettes, pageStylesheet } from './page-stylesheet.ts'
export {
  englishTexts,
  type FaultTexts,
  type FormTexts,
  type PageKind,
  type PageText,
  type PageTexts,
} from './page-texts.ts'
export { problemPage, renderPage, sendPage, type Brand, type ProblemPageOptions } from './pages.ts'
export { rateLimited } from './rate-limited.ts'
export {
  createRateLimiter,
  rateLimitKey,
  type RateLimiter,
  type RateLimiterOptions,
  type RateLimitOutcome,
} from './rate-limiter.ts'
export { createRedis, type RedisHandle, type RedisOptions } from './redis.ts'
export { runService, type RunningService, type RunOptions } from './run-service.ts'
export { scrubText } from './scrub-text.ts'
export type { PageHeaderOptions } from './security-headers.ts'
export { findParameterFault, installFormParser, parseParameters, type Parameters } from './strict-parameters.ts'
export { createUuidV7, drawAhead } from './uuid-v7.ts'
export type { ZodApp } from './zod-app.ts'
