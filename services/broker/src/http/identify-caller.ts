import { AppError, invalidField } from '@nexus/service'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { type Agent, anonymousAgent, sees } from '../agents/agent.ts'
import type { Identities } from '../agents/identities.ts'

const zonePattern = /^[a-z0-9-]{1,64}$/

/**
 * Whom a Gateway speaks for: the agent whose token it forwards, and whoever passed its door where none is asked for. A
 * token that is sent is judged either way.
 * @throws AppError `missing_bearer_token`, `invalid_token`, `unavailable`
 */
export async function identifyAgent(
  request: FastifyRequest,
  identify: Identities['identify'],
  requireBearer: boolean,
): Promise<Agent> {
  const shown = readBearer(request)
  if (shown !== undefined) return identify(shown, request.origin.address)
  if (!requireBearer) return anonymousAgent
  throw new AppError('missing_bearer_token', 'Send an agent token as Authorization: Bearer.')
}

/** The credential of `Authorization: Bearer`, the scheme in any case (RFC 9110 §11.1); other schemes count as absent. */
function readBearer(request: FastifyRequest): string | undefined {
  const given = request.raw.headersDistinct['authorization']
  if (given === undefined) return undefined
  const [value = '', ...others] = given
  // two of them are none that could be told
  if (others.length > 0) return ''
  const [scheme, token] = /^(\S+)(?: (.*))?$/.exec(value)?.slice(1) ?? []
  return scheme?.toLowerCase() === 'bearer' ? (token ?? '') : undefined
}

/** The zone named by a header, for what creates something. @throws AppError `invalid_request` */
export function readZoneHeader(request: FastifyRequest): string | undefined {
  const given = request.raw.headersDistinct['x-nexus-zone-id']
  if (given === undefined) return undefined
  const [zone = '', ...others] = given
  if (others.length === 0 && zonePattern.test(zone)) return zone
  throw invalidField('X-Nexus-Zone-ID', 'must be the name of one zone')
}

/**
 * Tells the Gateway whose token it forwarded, so that it can count by it; it goes no further. Whatever becomes of the
 * request, the token was good.
 */
export function tellIdentity(request: FastifyRequest, reply: FastifyReply): void {
  const { keyId, owner, isAdmin, zones } = request.agent
  if (keyId === undefined) return
  const only = zones.size === 1 ? [...zones.keys()][0] : undefined
  const { namedZone } = request
  // one that it does not see is nothing but its word, and what is recorded of the request is no place for that
  const zone = namedZone === undefined ? only : sees(request.agent, namedZone) ? namedZone : undefined
  const facts = [
    `key_id=${keyId}`,
    `tier=${isAdmin ? 'admin' : 'authenticated'}`,
    ...(owner === undefined ? [] : [`owner=${encodeURIComponent(owner.toWellFormed())}`]),
    ...(zone === undefined ? [] : [`zone=${zone}`]),
  ]
  reply.header('x-nexus-identity', facts.join('; '))
}
