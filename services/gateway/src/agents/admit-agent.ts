import { Secret } from '@nexus/config'
import { zoneName } from '@nexus/contracts'
import { sha256 } from '@nexus/crypto'
import { AppError, invalidField } from '@nexus/service'
import type { FastifyRequest } from 'fastify'
import { readHeader } from '../http/single-header.ts'
import type { CallingAgent } from '../operations/caller.ts'
import { type AgentIdentity, readIdentity } from './agent-identity.ts'
import type { AgentLimits } from './agent-limits.ts'
import type { KnownAgents } from './known-agents.ts'
import { readShownToken } from './shown-token.ts'

declare module 'fastify' {
  interface FastifyRequest {
    /** On routes for agents, once one has presented itself. */
    callingAgent: RequestAgent | undefined
  }
}

export type RequestAgent = CallingAgent & {
  /** SHA-256 in hex; undefined without a token. */
  readonly tokenHash: string | undefined
  /** What is known of it by now. */
  readonly identity: () => AgentIdentity | undefined
  /** For a request that was found wanting: if the Broker never heard of it, its token may be a made-up one. */
  readonly onRefusedHere: () => void
}

export type AdmissionDeps = {
  readonly requireBearer: boolean
  readonly limits: AgentLimits
  readonly known: KnownAgents
  /** Milliseconds that never go back. */
  readonly now: () => number
}

/**
 * Lets an agent's request through to the Broker, which alone decides what its token may do. Refused here is what need not
 * be asked: no token where one is demanded, what cannot be one, and too much of either.
 *
 * @throws AppError `missing_bearer_token`; `invalid_token`, the same for whatever is wrong; `rate_limited`;
 * `invalid_request` for what is not the name of a zone
 */
export async function admitAgent(deps: AdmissionDeps, request: FastifyRequest): Promise<void> {
  const { limits } = deps
  const address = request.clientAddress
  const shown = readShownToken(request)
  const zone = readHeader(request, 'x-nexus-zone-id')
  const zoneId = zone.kind === 'one' && zoneName.safeParse(zone.value).success ? zone.value : undefined

  if (shown.kind === 'one') {
    const agent = presentToken(deps, { token: shown.value, zone: zoneId, address })
    // before anything refuses, so that the record says whose request it was
    request.callingAgent = agent
    const known = agent.identity()
    await (known === undefined ? limits.assertMayTry(address) : limits.countAgent(known))
  } else {
    await limits.countAddress(address)
    if (shown.kind === 'faulty') throw new AppError('invalid_token', 'The agent token is not valid.')
    if (deps.requireBearer) {
      throw new AppError('missing_bearer_token', 'Send an agent token as Authorization: Bearer, or as X-Nexus-API-Key')
    }
    request.callingAgent = { ...nobody, zone: zoneId }
  }
  if (zone.kind !== 'absent' && zoneId === undefined) {
    throw invalidField('X-Nexus-Zone-ID', 'must be the name of one zone')
  }
}

const nobody: RequestAgent = {
  token: undefined,
  tokenHash: undefined,
  zone: undefined,
  identity: () => undefined,
  onTaken: () => undefined,
  onRefused: () => undefined,
  onRefusedHere: () => undefined,
}

type Presented = { readonly token: string; readonly zone: string | undefined; readonly address: string }

/** A token that is not known yet is counted by what the Broker says of it, since only then it is clear under whom. */
function presentToken({ known, limits, now }: AdmissionDeps, { token, zone, address }: Presented): RequestAgent {
  const tokenHash = sha256(token).toString('hex')
  const presentedAt = now()
  let identity = known.find(tokenHash)
  let isJudged = identity !== undefined
  return {
    token: new Secret(token),
    tokenHash,
    zone,
    identity: () => identity,
    onTaken(header) {
      isJudged = true
      const taken = readIdentity(header)
      if (taken === undefined) return
      if (identity === undefined) limits.noteAgent(taken)
      identity = taken
      known.remember(tokenHash, taken, presentedAt)
    },
    onRefused() {
      isJudged = true
      known.forget(tokenHash)
      limits.noteAddress(address)
    },
    onRefusedHere() {
      if (!isJudged) limits.noteAddress(address)
    },
  }
}
