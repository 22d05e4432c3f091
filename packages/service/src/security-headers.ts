import type { FastifyReply } from 'fastify'
import type { ZodApp } from './zod-app.ts'

export type PageHeaderOptions = {
  /**
   * Sources for `form-action`; `'self'` unless said. A form whose redirect ends at another origin needs
   * `'self' https:`, because browsers apply the directive to the redirects after a submission too.
   */
  readonly formAction?: string
}

/**
 * The headers of duty H9 on every answer of the service, redirects, errors and programs' answers included: set before
 * anything can fail, and not by path, since a path has many spellings. Nothing is cached unless a route says otherwise,
 * so no credential, ticket or state is kept for want of a header.
 */
export function installSecurityHeaders(app: ZodApp): void {
  app.addHook('onRequest', async (_request, reply) => {
    setSecurityHeaders(reply)
  })
}

/** No sniffing, no caching, no referrer that could leak a code, no framing, nothing inline, nothing from elsewhere. */
export function setSecurityHeaders(reply: FastifyReply, options: PageHeaderOptions = {}): void {
  reply
    .header('x-content-type-options', 'nosniff')
    .header('cache-control', 'no-store')
    .header('referrer-policy', 'no-referrer')
    .header('content-security-policy', contentSecurityPolicy(options.formAction ?? "'self'"))
}

function contentSecurityPolicy(formAction: string): string {
  return [
    "default-src 'none'",
    "style-src 'self'",
    "script-src 'self'",
    "img-src 'self'",
    `form-action ${formAction}`,
    "base-uri 'none'",
    "frame-ancestors 'none'",
  ].join('; ')
}
