import { AppError, findParameterFault, parseJson, parseParameters, type Parameters } from '@nexus/service'
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { BrokerClient } from '../broker/broker-client.ts'
import { describeCaller } from '../http/caller-facts.ts'
import { type VerifyState, assertSigned } from '../operations/check-state.ts'
import { pickAnswerHeaders, pickRequestHeaders } from './forwarded-headers.ts'

export type ForwardingDeps = {
  readonly broker: Pick<BrokerClient, 'forward'>
  readonly verifyState: VerifyState
}

export type PublicRoute = {
  /**
   * Every path this route may stand for, anchored: the request's target is compared as it was sent, so that no other
   * spelling (encoded, absolute, with dot segments) ever becomes a path on the Broker.
   */
  readonly pattern: RegExp
  readonly needsState: boolean
  readonly bodyType: 'form' | 'json'
}

/**
 * Hands a browser's request to the same public route of the Broker, and the answer back.
 *
 * @throws AppError `route_not_found`, `invalid_request`, `invalid_state`
 */
export async function forwardPublicRoute(
  deps: ForwardingDeps,
  { pattern, needsState, bodyType }: PublicRoute,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<FastifyReply> {
  const target = readTarget(request, pattern)
  const body = Buffer.isBuffer(request.body) ? request.body : undefined
  const states = collectStates(target.query, body, bodyType)
  // an answer without a state belongs to nobody: not worth the Broker's time, nor a line in its audit
  if (needsState && states.length === 0) throw new AppError('invalid_state', 'There is no state')
  for (const state of states) assertSigned(deps.verifyState, state)

  const method = request.method === 'POST' ? 'POST' : 'GET'
  const headers = pickRequestHeaders(request.headers)
  const answer = await deps.broker.forward({ method, path: target.path, headers, body }, describeCaller(request))

  reply.code(answer.status).headers(pickAnswerHeaders(answer.headers))
  return answer.body.length === 0 ? reply.send() : reply.send(answer.body)
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

/** At most one: a second one would leave it to each reader which of them counts. */
function collectStates(query: string, body: Buffer | undefined, bodyType: PublicRoute['bodyType']): readonly string[] {
  const inBody = body === undefined ? undefined : bodyType === 'json' ? readJsonState(body) : readFormState(body)
  const states = [readParameters(query)['state'], inBody].filter((state) => state !== undefined)
  if (states.length > 1) throw new AppError('invalid_state', 'There is more than one state')
  return states
}

function readFormState(body: Buffer): string | undefined {
  return readParameters(body.toString('utf8'))['state']
}

/** Read as strictly as the Broker reads it: a document that two readers could take for two has no way through. */
function readJsonState(body: Buffer): string | undefined {
  const document = parseJson(body)
  const state = typeof document === 'object' && document !== null && 'state' in document ? document.state : undefined
  return typeof state === 'string' ? state : undefined
}

function readParameters(text: string): Parameters {
  const parameters = parseParameters(text)
  const fault = findParameterFault(parameters)
  if (fault !== undefined) throw fault
  return parameters
}
