/**
 * Who may call a route that is not `public`:
 * `agent` the Gateway, for whoever it speaks for: needs an API_KEY, and an agent token while REQUIRE_BEARER is on ·
 * `operator` needs ADMIN_API_KEY where one is set ·
 * `any_key` either key: nothing here reads or changes a connection.
 */
export type Access = 'agent' | 'operator' | 'any_key'

declare module 'fastify' {
  interface FastifyContextConfig {
    /** A route that is neither `public` nor says who may call it is refused at registration. */
    access?: Access
  }
}

export const agentRoute = { access: 'agent' } as const
export const operatorRoute = { access: 'operator' } as const
export const anyKeyRoute = { access: 'any_key' } as const
/** A page for browsers: anybody may open it, and its failures are pages too. */
export const pageRoute = { public: true, answers: 'page' } as const
/** Anybody may call it, with what it asks for in the request itself; whatever `Accept` says, its failures are JSON. */
export const publicApiRoute = { public: true, answers: 'json' } as const
