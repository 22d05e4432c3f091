import { agentTokenPattern, longestAgentToken } from '@nexus/contracts'
import type { FastifyRequest } from 'fastify'
import { type HeaderValue, readBearer, readHeader } from '../http/single-header.ts'

/**
 * The agent token of a request. X-Nexus-API-Key counts alone where it is sent, so that clients whose Authorization is
 * somebody else's can still say who they are. What cannot be a token is faulty: the Broker is not asked about it.
 */
export function readShownToken(request: FastifyRequest): HeaderValue {
  const key = readHeader(request, 'x-nexus-api-key')
  const shown = key.kind === 'absent' ? readBearer(request) : key
  return shown.kind === 'one' && !isPossible(shown.value) ? { kind: 'faulty' } : shown
}

function isPossible(token: string): boolean {
  return token.length <= longestAgentToken && agentTokenPattern.test(token)
}
