import type { ZodApp } from '@nexus/service'

export type OpenedRoute = { readonly method: 'GET' | 'POST'; readonly path: string }

const preflightSeconds = 600

/**
 * Lets pages of other origins call these routes of a scope, and read whatever is answered, refusals included (Fetch
 * Standard, CORS protocol). Credentials of the browser are not allowed along: nothing here would count for anything.
 *
 * It opens nothing to programs, which never ask. An origin that is not listed is answered as if there were no list: its
 * page does not get to read the answer, and a browser does not send what needs a preflight.
 * @param origins - exact ones, as browsers write them; where there is none, there is no preflight to answer either
 */
export function allowOrigins(app: ZodApp, origins: readonly string[], routes: readonly OpenedRoute[]): void {
  if (origins.length === 0) return
  const allowed = new Set(origins)
  app.addHook('onRequest', async ({ headers }, reply) => {
    reply.header('vary', 'Origin')
    if (headers.origin === undefined || !allowed.has(headers.origin)) return
    reply
      .header('access-control-allow-origin', headers.origin)
      .header('access-control-expose-headers', 'Retry-After, X-Request-Id')
  })
  for (const { method, path } of routes) {
    app.options(path, { config: { public: true }, schema: { hide: true } }, async (_request, reply) => {
      if (reply.hasHeader('access-control-allow-origin')) {
        reply
          .header('access-control-allow-methods', method)
          .header('access-control-allow-headers', 'Content-Type')
          .header('access-control-max-age', String(preflightSeconds))
      }
      return reply.code(204).send()
    })
  }
}
