import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { request as httpRequest, type IncomingHttpHeaders } from 'node:http'
import { connect } from 'node:net'
import { text } from 'node:stream/consumers'
import { createStateSigner, randomToken, type StateClaims, type StateSigner } from '@nexus/crypto'
import { createLogger, createMetrics, type LogLevel, type RedisHandle, type ZodApp } from '@nexus/service'
import { captureLogs, type CapturedLogs } from '@nexus/testing'
import { buildApp } from '../src/app.ts'
import { createBrokerClient, type BrokerDeadlines } from '../src/broker/broker-client.ts'
import { readGatewayConfig } from '../src/config.ts'

export type Gateway = AsyncDisposable & {
  readonly app: ZodApp
  readonly port: number
  readonly url: string
  readonly logs: CapturedLogs
  /** Signs as the Broker does. */
  readonly states: StateSigner
  /** What it shows the Broker, and takes for operations. */
  readonly apiKey: string
}

export type GatewayOptions = {
  readonly env?: Readonly<Record<string, string>>
  readonly deadlines?: Partial<BrokerDeadlines>
  readonly now?: () => number
  readonly redis?: Pick<RedisHandle, 'client' | 'ping'>
  /** Everything unless given. */
  readonly logLevel?: LogLevel
  /** The key that the scripted Broker's states are signed with; the Gateway's own unless given. */
  readonly brokerStateKey?: Buffer
}

/** A Gateway that listens on loopback in front of `broker`, and asks agents for nothing unless `env` says so. */
export async function startGateway(broker: { readonly url: string }, options: GatewayOptions = {}): Promise<Gateway> {
  const config = readGatewayConfig({
    HOST: '127.0.0.1',
    PORT: '0',
    BROKER_BASE_URL: broker.url,
    BROKER_API_KEY: randomToken(32),
    STATE_KEY: randomBytes(32).toString('base64'),
    REQUIRE_BEARER: 'false',
    NEXUS_RATE_LIMIT_ANONYMOUS: '0',
    NEXUS_RATE_LIMIT_AUTHENTICATED: '0',
    NEXUS_RATE_LIMIT_PREMIUM: '0',
    ...options.env,
  })
  const logs = captureLogs()
  const client = createBrokerClient({
    baseUrl: new URL(config.BROKER_BASE_URL),
    apiKey: config.BROKER_API_KEY,
    ...(options.deadlines === undefined ? {} : { deadlines: options.deadlines }),
  })
  const own = createStateSigner({ key: config.STATE_KEY.reveal() })
  const app = await buildApp({
    config,
    logger: createLogger({ level: options.logLevel ?? 'trace', service: 'gateway', destination: logs }),
    metrics: createMetrics('gateway'),
    broker: client,
    verifyState: (state) => own.verify(state),
    redis: options.redis,
    now: options.now ?? Date.now,
  })
  const url = await app.listen({ host: '127.0.0.1', port: 0 })
  return {
    app,
    port: Number(new URL(url).port),
    url,
    logs,
    states: options.brokerStateKey === undefined ? own : createStateSigner({ key: options.brokerStateKey }),
    apiKey: config.BROKER_API_KEY.reveal(),
    [Symbol.asyncDispose]: async () => {
      await app.close()
      await client.close()
    },
  }
}

export function makeState(gateway: Gateway, claims: Partial<StateClaims> = {}): string {
  return gateway.states.sign({
    purpose: 'oauth',
    connectionId: '0198a1b2-0000-7000-8000-000000000001',
    jti: randomToken(32),
    issuedAt: Math.floor(Date.now() / 1000),
    ...claims,
  })
}

export type Answer = {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly text: string
  /** The body as JSON. */
  readonly json: () => unknown
}

export type Sent = {
  readonly method?: string
  /** The request target as it stands: nothing is normalised. */
  readonly target: string
  /** A list repeats the header. */
  readonly headers?: Readonly<Record<string, string | string[]>>
  readonly body?: string | Buffer
}

export async function send(to: { readonly port: number }, sent: Sent): Promise<Answer> {
  const { method = 'GET', target, headers = {}, body } = sent
  const length = body === undefined ? {} : { 'content-length': String(Buffer.byteLength(body)) }
  const request = httpRequest({
    host: '127.0.0.1',
    port: to.port,
    method,
    path: target,
    headers: { ...length, ...headers },
    agent: false,
  })
  request.end(body)
  const [response] = await once(request, 'response')
  const received = await text(response)
  return { status: response.statusCode, headers: response.headers, text: received, json: () => JSON.parse(received) }
}

export function sendJson(to: { readonly port: number }, target: string, body: unknown): Promise<Answer> {
  const headers = { 'content-type': 'application/json' }
  return send(to, { method: 'POST', target, headers, body: JSON.stringify(body) })
}

/** Writes bytes and reads until the other side closes: for what no HTTP client would send. */
export async function sendBytes(to: { readonly port: number }, bytes: string): Promise<string> {
  const socket = connect(to.port, '127.0.0.1')
  socket.write(bytes, 'latin1')
  try {
    return await text(socket)
  } catch {
    // a reset is an answer too
    return ''
  } finally {
    socket.destroy()
  }
}
