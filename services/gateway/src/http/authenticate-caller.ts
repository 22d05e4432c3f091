import type { Cidrs, Secret } from '@nexus/config'
import { equalInConstantTime } from '@nexus/crypto'
import { AppError, type ZodApp } from '@nexus/service'
import type { FastifyRequest } from 'fastify'
import { readBearer, readHeader } from './single-header.ts'

/** Who may call a route that is not public: agents, or who runs this installation. */
export type Callers = 'agents' | 'operations'

declare module 'fastify' {
  interface FastifyContextConfig {
    openTo?: Callers
    /** What a route for agents does, as records and metrics call it, whatever the transport. */
    operation?: string
  }
  interface FastifyInstance {
    /** Whom each route is open to, by `METHOD /path`, as the router has them. */
    routeAccess: ReadonlyMap<string, Callers | 'public'>
  }
}

export type AuthenticationOptions = {
  readonly allowedCidrs: Cidrs
  /** What opens the routes of operations. */
  readonly operationsKey: Secret<string>
  /** Refuses by throwing what need not be passed on; what is, the Broker judges. */
  readonly admitAgent: (request: FastifyRequest) => Promise<void>
}

/**
 * Guards every route registered after it. A route says `public: true` or whom it is `openTo`; one that says neither,
 * or both, stops the start, so that no route is open because somebody forgot (C2).
 */
export function installAuthentication(app: ZodApp, options: AuthenticationOptions): void {
  const routeAccess = new Map<string, Callers | 'public'>()
  app.decorate('routeAccess', routeAccess)
  app.decorateRequest('callingAgent', undefined)
  app.addHook('onRoute', ({ method, url, config }) => {
    const name = `${String(method)} ${url}`
    if ((config?.public === true) === (config?.openTo !== undefined)) {
      throw new Error(`${name} must declare either public: true or whom it is openTo`)
    }
    if ((config?.openTo === 'agents') !== (config?.operation !== undefined)) {
      throw new Error(`${name} must name its operation if it is open to agents, and only then`)
    }
    routeAccess.set(name, config?.openTo ?? 'public')
  })
  app.addHook('onRequest', async (request) => {
    if (!request.is404) await admit(request, options)
  })
}

const kindOf: Readonly<Record<Callers, string>> = { agents: 'agent', operations: 'operations' }

async function admit(request: FastifyRequest, options: AuthenticationOptions): Promise<void> {
  const { openTo } = request.routeOptions.config
  if (openTo === undefined) return
  request.callerKind = kindOf[openTo]
  if (!options.allowedCidrs.contains(request.clientAddress)) {
    throw new AppError('address_not_allowed', 'Calls from this address are not allowed')
  }
  if (openTo === 'agents') await options.admitAgent(request)
  else assertOperationsKey(request, options.operationsKey)
}

/** Whatever is wrong with a key that was sent, the answer is the same (C1). */
function assertOperationsKey(request: FastifyRequest, key: Secret<string>): void {
  const named = readHeader(request, 'x-api-key')
  const shown = named.kind === 'absent' ? readBearer(request) : named
  if (shown.kind === 'absent') {
    throw new AppError('missing_api_key', 'Send the API key as X-API-Key, or as Authorization: Bearer')
  }
  const isValid = shown.kind === 'one' && equalInConstantTime(shown.value, key.reveal())
  if (!isValid) throw new AppError('invalid_api_key', 'The API key is not valid')
}
