import { timingSafeEqual } from 'node:crypto'
import type { Cidrs, Secret } from '@nexus/config'
import { type Permission, errorBody } from '@nexus/contracts'
import { sha256 } from '@nexus/crypto'
import { AppError, type ZodApp, clientAddress, isAppError } from '@nexus/service'
import type { FastifyReply, FastifyRequest, RouteOptions } from 'fastify'
import { z } from 'zod'
import type { Origin } from '../audit/audit-event.ts'
import type { Denial, RecordDenial } from '../audit/record-denial.ts'
import { type Agent, anonymousAgent, assertMaySomewhere, operatorAgent } from '../agents/agent.ts'
import type { Identities } from '../agents/identities.ts'
import type { Access } from './access.ts'
import { identifyAgent, readZoneHeader, tellIdentity } from './identify-caller.ts'

export type CallerSettings = {
  readonly apiKeys: readonly Secret<string>[]
  readonly adminApiKey: Secret<string> | undefined
  readonly requireBearer: boolean
  readonly allowedCidrs: Cidrs
  readonly trustedProxies: Cidrs
}

declare module 'fastify' {
  interface FastifyRequest {
    origin: Origin
    /** Who asks, on routes for agents; nobody in particular elsewhere. */
    agent: Agent
    /** By X-Nexus-Zone-ID. */
    namedZone: string | undefined
    /**
     * Who asks, by now: for what waited so long that the token may have been revoked or narrowed meanwhile.
     * @throws AppError `invalid_token`, `unavailable`
     */
    identifyAgain: () => Promise<Agent>
  }
}

export type AuthenticationDeps = {
  readonly recordDenial: RecordDenial
  readonly identify: Identities['identify']
  /** Whether the agent sees this connection, and may do this to it. @throws AppError otherwise */
  readonly guardConnection: (agent: Agent, id: string, permissions: readonly Permission[]) => Promise<void>
}

type KeyKind = 'gateway' | 'operator'

/**
 * Decides for every route whether its caller may use it, in this order: the address, the API key, the kind of key, the
 * agent token, what the agent may do at all, and, once the request is known to be well-formed, whether it may do it to this
 * connection. A route that declares neither who may call it nor what they must hold cannot be registered (C2). What is
 * refused is recorded.
 */
export function installAuthentication(app: ZodApp, settings: CallerSettings, deps: AuthenticationDeps): void {
  const { recordDenial } = deps
  const identifyKey = createKeyCheck(settings)
  app.decorateRequest('origin')
  app.decorateRequest('agent')
  app.decorateRequest('namedZone', undefined)
  app.decorateRequest('identifyAgain', function identifyAgain(this: FastifyRequest) {
    return recordingDenials(this, recordDenial, () => identifyAgent(this, deps.identify, settings.requireBearer))
  })
  app.addHook('onRoute', (route) => {
    assertDeclared(route)
    if (route.config?.access !== undefined) describeAccess(route)
  })
  app.addHook('onRequest', async (request, reply) => {
    request.agent = anonymousAgent
    const { access } = request.routeOptions.config
    // public, or the not-found handler: no other route is without
    if (access === undefined) {
      request.callerKind = 'public'
      request.origin = originOf(request, settings, 'browser', undefined)
      return
    }
    // until the key is known, nobody is: a gateway is what most callers are
    request.origin = originOf(request, settings, 'gateway', undefined)
    await recordingDenials(request, recordDenial, async () => {
      assertAddressAllowed(request, settings)
      const kind = identifyKey(readApiKey(request))
      request.callerKind = kind
      request.origin = originOf(request, settings, kind, kind)
      assertKindAllowed(kind, access, settings)
      if (isForAgents(access)) await admitAgent(request, reply, { kind, settings, deps })
    })
  })
  app.addHook('preHandler', async (request) => {
    const { need } = request.routeOptions.config
    if (need?.in !== 'connection') return
    const { id } = connectionParams.parse(request.params)
    await recordingDenials(request, recordDenial, () => deps.guardConnection(request.agent, id, need.permissions))
  })
}

async function recordingDenials<Decision>(
  request: FastifyRequest,
  recordDenial: RecordDenial,
  decide: () => Promise<Decision>,
): Promise<Decision> {
  try {
    return await decide()
  } catch (error) {
    if (isAppError(error)) recordDenial(describeDenial(request, error))
    throw error
  }
}

type Admission = {
  readonly kind: KeyKind
  readonly settings: CallerSettings
  readonly deps: AuthenticationDeps
}

/** @throws AppError `missing_bearer_token`, `invalid_token`, `insufficient_permission`, `invalid_request` */
async function admitAgent(request: FastifyRequest, reply: FastifyReply, { kind, settings, deps }: Admission) {
  if (kind === 'operator') {
    request.agent = operatorAgent
    return
  }
  const agent = await identifyAgent(request, deps.identify, settings.requireBearer)
  request.agent = agent
  if (agent.keyId !== undefined) request.origin = { ...request.origin, actorKind: 'agent', actorId: agent.keyId }
  request.namedZone = readZoneHeader(request)
  tellIdentity(request, reply)
  const { need } = request.routeOptions.config
  if (need !== undefined && need.in !== 'nothing') assertMaySomewhere(agent, need.permissions)
}

function isForAgents(access: Access): boolean {
  return access === 'agent' || access === 'agent_or_operator'
}

function assertDeclared({ method, url, config }: RouteOptions): void {
  const { access, need } = config ?? {}
  const name = `${String(method)} ${url}`
  if (access === undefined && config?.public !== true) throw new Error(`${name} declares no access`)
  if (access === undefined) return
  if (isForAgents(access) !== (need !== undefined)) throw new Error(`${name} does not say what an agent must hold`)
  if (need?.in === 'connection' && !url.startsWith('/connections/:id')) {
    throw new Error(`${name} has no connection in its path to guard`)
  }
}

function describeDenial(request: FastifyRequest, { code }: AppError): Denial {
  const { params, origin, method, routeOptions } = request
  const { data } = connectionParams.safeParse(params)
  const route = routeOptions.url ?? ''
  return {
    origin,
    outcome: code,
    method,
    route,
    connectionId: route.startsWith('/connections/') ? data?.id : undefined,
  }
}

const connectionParams = z.object({ id: z.uuid() })

/** For the OpenAPI document: the key that is asked for, and the form of every refusal. */
function describeAccess(route: RouteOptions): void {
  const { response, ...schema } = route.schema ?? {}
  const answers = typeof response === 'object' ? response : {}
  route.schema = { ...schema, security: [{ apiKey: [] }], response: { ...answers, default: errorBody } }
}

/** The peer of the socket, always: a header can claim anything (C3). */
function assertAddressAllowed(request: FastifyRequest, settings: CallerSettings): void {
  if (!settings.allowedCidrs.contains(request.socket.remoteAddress ?? '')) {
    throw new AppError('address_not_allowed', 'This address may not call this service.')
  }
}

const longestKey = 1024

/** Absent is one answer; empty, padded, duplicated, oversized and wrong are another, always the same (C1). */
function readApiKey(request: FastifyRequest): string {
  const given = request.raw.headersDistinct['x-api-key'] ?? metricsBearer(request)
  if (given === undefined) throw new AppError('missing_api_key', 'Send the API key as X-API-Key.')
  const [key, ...others] = given
  return key === undefined || others.length > 0 || key.length > longestKey ? '' : key
}

// scrapers can send a bearer token and often nothing else
function metricsBearer(request: FastifyRequest): string[] | undefined {
  if (request.routeOptions.url !== '/metrics' && request.routeOptions.url !== '/openapi.json') return undefined
  return request.raw.headersDistinct['authorization']?.map((value) => /^Bearer (\S+)$/i.exec(value)?.[1] ?? '')
}

/** Compares hashes, so that neither length nor content of a wrong key shows in the time; all keys are always compared. */
function createKeyCheck(settings: CallerSettings): (key: string) => KeyKind {
  const gateway = settings.apiKeys.map((key) => sha256(key.reveal()))
  const operator = settings.adminApiKey === undefined ? [] : [sha256(settings.adminApiKey.reveal())]
  return (key) => {
    const hash = sha256(key)
    const isGateway = matchesOne(gateway, hash)
    const isOperator = matchesOne(operator, hash)
    if (isGateway) return 'gateway'
    if (isOperator) return 'operator'
    throw new AppError('invalid_api_key', 'The API key is not valid.')
  }
}

function assertKindAllowed(kind: KeyKind, access: Access, settings: CallerSettings): void {
  if (access === 'operator' && kind === 'gateway' && settings.adminApiKey !== undefined) {
    throw new AppError('forbidden', 'This route takes the operator key (ADMIN_API_KEY).')
  }
  if (access === 'agent' && kind === 'operator') {
    throw new AppError('forbidden', 'The operator key reads and changes no connection.')
  }
}

function originOf(
  request: FastifyRequest,
  settings: CallerSettings,
  actorKind: Origin['actorKind'],
  actorId: string | undefined,
): Origin {
  return {
    actorKind,
    actorId,
    address: clientAddress(request.socket.remoteAddress, forwardedFor(request), settings.trustedProxies),
    userAgent: request.headers['user-agent'],
    requestId: request.id,
  }
}

function forwardedFor(request: FastifyRequest): string | undefined {
  return request.raw.headersDistinct['x-forwarded-for']?.join(',')
}

function matchesOne(known: readonly Buffer[], hash: Buffer): boolean {
  return known.reduce((found, one) => timingSafeEqual(one, hash) || found, false)
}
