import type { Secret } from '@nexus/config'
import type { AppError } from '@nexus/service'
import type { z } from 'zod'
import type { Caller, CallingAgent } from '../operations/caller.ts'
import type { WireAnswer } from './answer-collector.ts'
import { brokerUnavailable, translateBrokerError, translateTransportError } from './broker-errors.ts'
import { createTransport, type Transport } from './broker-transport.ts'

export type BrokerCall<S extends z.ZodType> = {
  readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE'
  /** Path and query; whatever a caller gave in it has been validated and encoded. */
  readonly path: string
  readonly body?: unknown
  readonly idempotencyKey?: string | undefined
  /** What is expected; fields it does not name are dropped. */
  readonly answer: S
  /** `anybody`: a public route, to which neither key nor token is shown. Agents do not wait behind such calls. */
  readonly as?: 'gateway' | 'anybody'
  /**
   * `long` for what may wait for a provider: a refresh on any Broker up to 25 s. `longest` for what asks one for metadata,
   * a grant and keys, 20 s each.
   */
  readonly patience?: 'usual' | 'long' | 'longest'
}

/** A browser's request to a public route. Its headers are all that the Broker gets of the browser's. */
export type PublicRequest = {
  readonly method: 'GET' | 'POST'
  readonly path: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: Buffer | undefined
}

export type BrokerClient = {
  /**
   * Calls a route as the Gateway, with its API key and the caller's agent token, or as anybody, without either. What the
   * Broker says of the token is told to `caller.agent`. A call that is not a GET is never repeated.
   *
   * @throws AppError of the Broker's own code; `broker_unavailable` when it cannot be reached or understood, or refuses
   * the Gateway itself; `unavailable` when too many calls wait already.
   */
  call<S extends z.ZodType>(call: BrokerCall<S>, caller: Caller): Promise<z.output<S>>
  /** Hands a browser's request to a public route, without key or token. @throws AppError as `call`, for transport only. */
  forward(request: PublicRequest, caller: Caller): Promise<WireAnswer>
  /** Whether the Broker's own readiness says yes. Never throws. */
  isReady(): Promise<boolean>
  /** Lets what is in flight finish. */
  close(): Promise<void>
}

export type BrokerClientOptions = {
  readonly baseUrl: URL
  readonly apiKey: Secret<string>
  readonly deadlines?: Partial<BrokerDeadlines>
}

/** Milliseconds. */
export type BrokerDeadlines = {
  readonly usual: number
  readonly long: number
  readonly longest: number
  readonly ready: number
}

const defaultDeadlines: BrokerDeadlines = { usual: 15_000, long: 30_000, longest: 65_000, ready: 2_000 }
// a page of 200 connections with 16 KiB of metadata each, and room to spare
const maxAnswerBytes = 8 * 1024 * 1024

/** The one place that knows where the Broker is and what it takes to call it. */
export function createBrokerClient(options: BrokerClientOptions): BrokerClient {
  const deadlines = { ...defaultDeadlines, ...options.deadlines }
  const { baseUrl } = options
  // apart, so that browsers waiting for a callback never take an agent's connection, nor the other way round, and
  // neither makes the Broker look away
  const forAgents = createTransport({ baseUrl, maxConnections: 256, maxCalls: 2048 })
  const forBrowsers = createTransport({ baseUrl, maxConnections: 64, maxCalls: 512 })
  // up to a minute each: a slow provider takes no more than these
  const forCompletions = createTransport({ baseUrl, maxConnections: 64, maxCalls: 256 })
  const forProbes = createTransport({ baseUrl, maxConnections: 1, maxCalls: 2 })

  return {
    async call(call, caller) {
      const limits = { deadlineMs: deadlines[call.patience ?? 'usual'], maxAnswerBytes }
      const body = call.body === undefined ? {} : { body: JSON.stringify(call.body) }
      const headers = describeCall(call, caller, options.apiKey)
      const forGateway = call.patience === 'longest' ? forCompletions : forAgents
      const transport = call.as === 'anybody' ? forBrowsers : forGateway
      const answer = await send(transport, { method: call.method, path: call.path, headers, limits, ...body })
      const identity = answer.headers['x-nexus-identity']
      if (identity !== undefined) caller.agent?.onTaken(identity)
      if (answer.status >= 200 && answer.status <= 299) return readAnswer(answer.body, call.answer)
      const refusal = translateBrokerError(answer)
      if (refusal.code === 'invalid_token') caller.agent?.onRefused()
      throw refusal
    },
    forward(request, caller) {
      const limits = { deadlineMs: deadlines.long, maxAnswerBytes }
      const headers = { ...request.headers, ...describeCaller(caller) }
      const body = request.body === undefined ? {} : { body: request.body }
      return send(forBrowsers, { method: request.method, path: request.path, headers, limits, ...body })
    },
    async isReady() {
      const limits = { deadlineMs: deadlines.ready, maxAnswerBytes }
      const request = { method: 'GET', path: '/health/ready', headers: {}, limits } as const
      const status = await forProbes.send(request).then(
        (answer) => answer.status,
        () => 0,
      )
      return status === 200
    },
    async close() {
      await Promise.all([forAgents, forBrowsers, forCompletions, forProbes].map((transport) => transport.close()))
    },
  }
}

async function send(transport: Transport, request: Parameters<Transport['send']>[0]): Promise<WireAnswer> {
  try {
    return await transport.send(request)
  } catch (error) {
    throw translateTransportError(error)
  }
}

function describeCall(
  call: BrokerCall<z.ZodType>,
  caller: Caller,
  apiKey: Secret<string>,
): Readonly<Record<string, string>> {
  return {
    ...(call.as === 'anybody' ? {} : { 'x-api-key': apiKey.reveal(), ...describeAgent(caller.agent) }),
    accept: 'application/json',
    ...describeCaller(caller),
    ...(call.body === undefined ? {} : { 'content-type': 'application/json' }),
    ...(call.idempotencyKey === undefined ? {} : { 'idempotency-key': call.idempotencyKey }),
  }
}

/** Exactly one token, in one form, however it came. */
function describeAgent(agent: CallingAgent | undefined): Readonly<Record<string, string>> {
  return {
    ...(agent?.token === undefined ? {} : { authorization: `Bearer ${agent.token.reveal()}` }),
    ...(agent?.zone === undefined ? {} : { 'x-nexus-zone-id': agent.zone }),
  }
}

function describeCaller(caller: Caller): Readonly<Record<string, string>> {
  return {
    'x-request-id': caller.requestId,
    'x-forwarded-for': caller.address,
    ...(caller.userAgent === undefined ? {} : { 'user-agent': caller.userAgent }),
  }
}

/** Parsing against the schema is what drops every field the contract does not name (V5). */
function readAnswer<S extends z.ZodType>(body: Buffer, schema: S): z.output<S> {
  const parsed = schema.safeParse(parseJson(body))
  if (parsed.success) return parsed.data
  throw notTheContract(parsed.error.issues.map((issue) => `${issue.path.join('.')}: ${issue.code}`))
}

function parseJson(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString('utf8'))
  } catch {
    // V8's message quotes the text, which may be a credential
    throw notTheContract(['not JSON'])
  }
}

function notTheContract(faults: readonly string[]): AppError {
  return brokerUnavailable(`the Broker's answer is not what the contract says: ${faults.slice(0, 5).join('; ')}`)
}
