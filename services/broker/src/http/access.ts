import type { Permission } from '@nexus/contracts'

/**
 * Who may call a route that is not `public`:
 * `agent` the Gateway, for whoever it speaks for: needs an API_KEY, and an agent token while REQUIRE_BEARER is on ·
 * `operator` needs ADMIN_API_KEY where one is set ·
 * `agent_or_operator` the operator's key by itself, or a Gateway's for an agent ·
 * `any_key` either key: nothing here reads or changes a connection.
 */
export type Access = 'agent' | 'operator' | 'agent_or_operator' | 'any_key'

/**
 * What an agent must hold. `connection`: in the zone of the connection whose id is in the path, which else does not exist
 * for it (C4). `somewhere`: in any zone; the use case looks at no other. `nothing`: a token is enough.
 */
export type Need =
  | { readonly in: 'connection' | 'somewhere'; readonly permissions: readonly Permission[] }
  | { readonly in: 'nothing' }

declare module 'fastify' {
  interface FastifyContextConfig {
    /** A route that is neither `public` nor says who may call it is refused at registration. */
    access?: Access
    /** So is a route for agents that does not say what they must hold. */
    need?: Need
  }
}

/** For a route with a connection's id in its path. */
export function connectionRoute(...permissions: readonly Permission[]) {
  return { access: 'agent', need: { in: 'connection', permissions } } as const
}

/** For a route whose use case looks at the agent's zones itself. */
export function agentRoute(...permissions: readonly Permission[]) {
  return { access: 'agent', need: { in: 'somewhere', permissions } } as const
}

export const operatorRoute = { access: 'operator' } as const
/** What may be known by every agent, as far as its zones reach, and by operators. */
export const catalogueRoute = { access: 'agent_or_operator', need: { in: 'nothing' } } as const
/** Agents and zones themselves: for operators and administrators, and for holders of `x` in their zones. */
export const hubRoute = { access: 'agent_or_operator', need: { in: 'somewhere', permissions: ['x'] } } as const
export const anyKeyRoute = { access: 'any_key' } as const
/** A page for browsers: anybody may open it, and its failures are pages too. */
export const pageRoute = { public: true, answers: 'page' } as const
/** Anybody may call it, with what it asks for in the request itself; whatever `Accept` says, its failures are JSON. */
export const publicApiRoute = { public: true, answers: 'json' } as const
