import { type Cidrs, Secret } from '@nexus/config'
import { equalInConstantTime } from '@nexus/crypto'
import { AppError, type ZodApp } from '@nexus/service'
import type { FastifyRequest } from 'fastify'
import { readHeader } from './single-header.ts'

/**
 * Who may call a route that is not public: agents, who runs this installation, or the servers of apps, with a key that is
 * the Broker's to judge.
 */
export type Callers = 'agents' | 'apps' | 'operations'

declare module 'fastify' {
  interface FastifyContextConfig {
    openTo?: Callers
  }
  interface FastifyInstance {
    /** Whom each route is open to, by `METHOD /path`, as the router has them. */
    routeAccess: ReadonlyMap<string, Callers | 'public'>
  }
}

export type AuthenticationOptions = {
  readonly requireBearer: boolean
  readonly allowedCidrs: Cidrs
  /** What opens the routes of operations. */
  readonly operationsKey: Secret<string>
}

/**
 * Guards every route registered after it. A route says `public: true` or whom it is `openTo`; one that says neither,
 * or both, stops the start, so that no route is open because somebody forgot (C2).
 */
export function installAuthentication(app: ZodApp, options: AuthenticationOptions): void {
  const routeAccess = new Map<string, Callers | 'public'>()
  app.decorate('routeAccess', routeAccess)
  app.addHook('onRoute', ({ method, url, config }) => {
    const name = `${String(method)} ${url}`
    if ((config?.public === true) === (config?.openTo !== undefined)) {
      throw new Error(`${name} must declare either public: true or whom it is openTo`)
    }
    routeAccess.set(name, config?.openTo ?? 'public')
  })
  app.addHook('onRequest', (request, _reply, done) => {
    const refusal = request.is404 ? undefined : findRefusal(request, options)
    if (refusal === undefined) done()
    else done(refusal)
  })
}

const kindOf: Readonly<Record<Callers, string>> = { agents: 'agent', apps: 'app', operations: 'operations' }

function findRefusal(request: FastifyRequest, options: AuthenticationOptions): AppError | undefined {
  const { public: isPublic, openTo } = request.routeOptions.config
  if (isPublic === true) return undefined
  request.callerKind = openTo === undefined ? undefined : kindOf[openTo]
  if (!options.allowedCidrs.contains(request.clientAddress)) {
    return new AppError('address_not_allowed', 'Calls from this address are not allowed')
  }
  if (openTo === 'apps') return findFaultOfKey(request)
  return openTo === 'operations' ? checkOperationsKey(request, options.operationsKey) : checkAgent(request, options)
}

/** An app's key is passed on to the Broker: without one it is not even asked, and the Gateway's own is never lent (C1). */
function findFaultOfKey(request: FastifyRequest): AppError | undefined {
  const { kind } = readHeader(request, 'x-api-key')
  if (kind === 'one') return undefined
  return kind === 'absent' ? new AppError('missing_api_key', 'Send the API key as X-API-Key') : invalidKey()
}

/** The key of a caller for whom a route is open to `apps`. */
export function readCallerKey(request: FastifyRequest): Secret<string> {
  const header = readHeader(request, 'x-api-key')
  if (header.kind !== 'one') throw invalidKey()
  return new Secret(header.value)
}

function invalidKey(): AppError {
  return new AppError('invalid_api_key', 'The API key is not valid')
}

/** There are no agent tokens yet: whatever token is shown, it is not valid. */
function checkAgent(request: FastifyRequest, { requireBearer }: AuthenticationOptions): AppError | undefined {
  if (!requireBearer) return undefined
  const hasToken = readHeader(request, 'x-nexus-api-key').kind !== 'absent' || readBearer(request).kind !== 'absent'
  return hasToken
    ? new AppError('invalid_token', 'The agent token is not valid')
    : new AppError('missing_bearer_token', 'Send an agent token as Authorization: Bearer, or as X-Nexus-API-Key')
}

/** Whatever is wrong with a key that was sent, the answer is the same (C1). */
function checkOperationsKey(request: FastifyRequest, key: Secret<string>): AppError | undefined {
  const named = readHeader(request, 'x-api-key')
  const shown = named.kind === 'absent' ? readBearer(request) : named
  if (shown.kind === 'absent') {
    return new AppError('missing_api_key', 'Send the API key as X-API-Key, or as Authorization: Bearer')
  }
  const isValid = shown.kind === 'one' && equalInConstantTime(shown.value, key.reveal())
  return isValid ? undefined : invalidKey()
}

/** The credential of `Authorization: Bearer`, the scheme in any case (RFC 9110 §11.1); other schemes count as absent. */
function readBearer(request: FastifyRequest): ReturnType<typeof readHeader> {
  const header = readHeader(request, 'authorization')
  if (header.kind !== 'one') return header
  const [, token] = /^bearer(?: (.*))?$/i.exec(header.value) ?? [undefined, null]
  if (token === null) return { kind: 'absent' }
  return token === undefined || token === '' ? { kind: 'faulty' } : { kind: 'one', value: token }
}
