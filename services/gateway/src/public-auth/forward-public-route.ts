import type { StateSigner } from '@nexus/crypto'
import { AppError, findParameterFault, parseParameters, type Parameters } from '@nexus/service'
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { BrokerClient } from '../broker/broker-client.ts'
import { describeCaller } from '../http/caller-facts.ts'
import { pickAnswerHeaders, pickRequestHeaders } from './forwarded-headers.ts'

export type ForwardingDeps = {
  readonly broker: Pick<BrokerClient, 'forward'>
  readonly verifyState: StateSigner['verify']
}

export type PublicRoute = {
  /**
   * Every path this route may stand for, anchored: the request's target is compared as it was sent, so that no other
   * spelling (encoded, absolute, with dot segments) ever becomes a path on the Broker.
   */
  readonly pattern: RegExp
  readonly needsState: boolean
}

/**
 * Hands a browser's request to the same public route of the Broker, and the answer back.
 *
 * @throws AppError `route_not_found`, `invalid_request`, `invalid_state`
 */
export async function forwardPublicRoute(
  deps: ForwardingDeps,
  { pattern, needsState }: PublicRoute,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<FastifyReply> {
  const target = readTarget(request, pattern)
  const body = readForm(request)
  const states = collectStates(target.query, body)
  // an answer without a state belongs to nobody: not worth the Broker's time, nor a line in its audit
  if (needsState && states.length === 0) throw new AppError('invalid_state', 'There is no state')
  for (const state of states) assertSigned(state, deps)

  const method = request.method === 'POST' ? 'POST' : 'GET'
  const headers = pickRequestHeaders(request.headers)
  const answer = await deps.broker.forward({ method, path: target.path, headers, body }, describeCaller(request))

  reply.code(answer.status).headers(pickAnswerHeaders(answer.headers))
  return answer.body.length === 0 ? reply.send() : reply.send(answer.body)
}

/**
 * H1: what Nexus did not sign never reaches the Broker. Age is not judged here: the Broker's rows know it by the
 * database's clock, and an edge whose own clock is wrong must fail no handshake (R9).
 */
function assertSigned(state: string, { verifyState }: ForwardingDeps): void {
  if (verifyState(state) === undefined) throw new AppError('invalid_state', 'The state was not made by this Nexus')
}

type Target = { readonly path: string; readonly query: string }

// visible ASCII but `#`, after which routers stop reading while others go on
const sendableQuery = /^[\x21\x22\x24-\x7e]*$/

function readTarget(request: FastifyRequest, pattern: RegExp): Target {
  const target = request.raw.url ?? ''
  const [path = '', ...rest] = target.split('?')
  const query = rest.join('?')
  if (!pattern.test(path)) throw new AppError('route_not_found', 'There is no such route')
  if (!sendableQuery.test(query)) throw new AppError('invalid_request', 'The query is not properly encoded')
  return { path: target, query }
}

function readForm(request: FastifyRequest): Buffer | undefined {
  return Buffer.isBuffer(request.body) ? request.body : undefined
}

/** At most one: a second one would leave it to each reader which of them counts. */
function collectStates(query: string, body: Buffer | undefined): readonly string[] {
  const sources = [query, ...(body === undefined ? [] : [body.toString('utf8')])].map(readParameters)
  const states = sources.flatMap(({ state }) => (state === undefined ? [] : [state]))
  if (states.length > 1) throw new AppError('invalid_state', 'There is more than one state')
  return states
}

function readParameters(text: string): Parameters {
  const parameters = parseParameters(text)
  const fault = findParameterFault(parameters)
  if (fault !== undefined) throw fault
  return parameters
}
