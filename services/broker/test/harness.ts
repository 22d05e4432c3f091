import { randomBytes, randomUUID } from 'node:crypto'
import { fileURLToPath } from 'node:url'
import type { CreateAgentToken, OAuthCredentialPayload } from '@nexus/contracts'
import {
  type CapturedLogs,
  type Service,
  type TestDatabase,
  captureLogs,
  freePort,
  spawnService,
  startScriptedProvider,
} from '@nexus/testing'
import { startBroker } from '../src/main.ts'

type Environment = Readonly<Record<string, string>>

/** Keys of one installation: every Broker and Gateway of a test shares them. */
export function makeKeys() {
  return {
    ENCRYPTION_KEY: randomBytes(32).toString('base64'),
    STATE_KEY: randomBytes(32).toString('base64'),
    API_KEY: randomBytes(32).toString('hex'),
    ADMIN_API_KEY: randomBytes(32).toString('hex'),
  }
}

export type Keys = ReturnType<typeof makeKeys>

/** Of this test file: its Brokers share one database, and with it one set of keys. */
export const fileKeys = makeKeys()

/** A Broker's environment as tests want it: loopback, no agent tokens, providers on loopback allowed. */
export function brokerEnvironment(databaseUrl: string, keys: Keys, port: number, more: Environment = {}): Environment {
  return {
    ...keys,
    DATABASE_URL: databaseUrl,
    HOST: '127.0.0.1',
    PORT: String(port),
    BASE_URL: `http://127.0.0.1:${port}`,
    REQUIRE_BEARER: 'false',
    ALLOW_PRIVATE_NETWORKS: 'true',
    LOG_LEVEL: 'trace',
    ...more,
  }
}

export type Answer<Body = unknown> = {
  readonly status: number
  readonly headers: Headers
  readonly body: Body
  readonly text: string
}

export type Sent = {
  /** Default: the Gateway's key, and the operator's for operator routes. */
  readonly key?: string | undefined
  readonly body?: unknown
  readonly headers?: Readonly<Record<string, string>>
}

/** Talks to a Broker as Gateways and operators do; completes connections as an app does, with a token for that. */
export function createClient(url: string, keys: Keys) {
  let appToken: Promise<string> | undefined
  async function send<Body = unknown>(method: string, path: string, sent: Sent = {}): Promise<Answer<Body>> {
    if (/\/complete(\?|$)/.test(path) && !('key' in sent) && sent.headers?.['authorization'] === undefined) {
      const token = await (appToken ??= mintToken({ post }, { zones: [{ zone: 'root', permissions: 'c' }] }))
      return send(method, path, {
        ...sent,
        key: keys.API_KEY,
        headers: { ...sent.headers, authorization: `Bearer ${token}` },
      })
    }
    const isOperator = /^\/(providers|audit|metrics|openapi|agent-tokens|zones|hub)/.test(path)
    const key = 'key' in sent ? sent.key : isOperator ? keys.ADMIN_API_KEY : keys.API_KEY
    const response = await fetch(new URL(path, url), {
      method,
      redirect: 'manual',
      headers: {
        ...(key === undefined ? {} : { 'x-api-key': key }),
        ...(sent.body === undefined ? {} : { 'content-type': 'application/json' }),
        ...sent.headers,
      },
      body: sent.body === undefined ? null : JSON.stringify(sent.body),
    })
    const text = await response.text()
    return { status: response.status, headers: response.headers, text, body: parse(text) as Body }
  }
  const post = <Body = unknown>(path: string, body?: unknown, sent?: Sent) =>
    send<Body>('POST', path, { body, ...sent })
  return { send, get: <Body = unknown>(path: string, sent?: Sent) => send<Body>('GET', path, sent), post, keys }
}

/** Mints an agent token, as an operator does. */
export async function mintToken({ post }: Pick<Client, 'post'>, wanted: Partial<CreateAgentToken>): Promise<string> {
  const answer = await post<{ token: string }>('/agent-tokens', { name: `test-${randomUUID()}`, ...wanted })
  if (answer.status !== 201) throw new Error(`the token was refused: ${answer.text}`)
  return answer.body.token
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

export type Client = ReturnType<typeof createClient>

export type TestBroker = AsyncDisposable &
  Client & { readonly url: string; readonly keys: Keys; readonly logs: CapturedLogs }

/** A Broker in this process, on a port of its own. */
export async function startTestBroker(
  database: Pick<TestDatabase, 'url'>,
  options: { readonly env?: Environment; readonly keys?: Keys } = {},
): Promise<TestBroker> {
  const keys = options.keys ?? fileKeys
  const port = await freePort()
  const logs = captureLogs()
  const service = await startBroker(brokerEnvironment(database.url, keys, port, options.env), { destination: logs })
  const url = `http://127.0.0.1:${port}`
  return { ...createClient(url, keys), url, keys, logs, [Symbol.asyncDispose]: () => service.close() }
}

const brokerBin = fileURLToPath(new URL('../bin/nexus-broker.ts', import.meta.url))

/** A Broker in a process of its own, for what only processes can show. */
export async function spawnTestBroker(
  database: Pick<TestDatabase, 'url'>,
  options: { readonly env?: Environment; readonly keys?: Keys; readonly port?: number } = {},
): Promise<Service & Client & { readonly keys: Keys }> {
  const keys = options.keys ?? fileKeys
  const port = options.port ?? (await freePort())
  const env = brokerEnvironment(database.url, keys, port, options.env)
  const service = await spawnService({ entry: brokerBin, args: ['serve'], env, port, ready: { path: '/health/ready' } })
  return { ...service, ...createClient(service.url, keys), keys }
}

export const appUrl = 'http://127.0.0.1:1/app/done?from=app'

type ScriptedOptions = Parameters<typeof startScriptedProvider>[0]

export type Registered = {
  readonly providerId: string
  readonly redirectUri: string
}

/** Registers a profile and tells where its callback is. */
export async function registerProfile(broker: Client, profile: Readonly<Record<string, unknown>>): Promise<Registered> {
  const answer = await broker.post<{ id: string; redirect_uri: string }>('/providers', profile)
  if (answer.status !== 201) throw new Error(`the profile was refused: ${answer.text}`)
  return { providerId: answer.body.id, redirectUri: answer.body.redirect_uri }
}

export const clientId = 'nexus-test'
export const clientSecret = 'the-client-secret-of-the-tests'

/** A scripted provider and its profile, which know each other. `profile` adds to discovery with openid. */
export async function startRegisteredProvider(
  broker: Client,
  options: {
    readonly name?: string
    readonly provider?: Omit<NonNullable<ScriptedOptions>, 'clients'>
    readonly profile?: Readonly<Record<string, unknown>>
  } = {},
) {
  const provider = await startScriptedProvider(options.provider)
  const registered = await registerProfile(broker, {
    name: options.name ?? 'scripted',
    issuer: provider.issuer,
    client_id: clientId,
    client_secret: clientSecret,
    scopes: ['openid', 'read'],
    ...options.profile,
  })
  provider.addClient({ clientId, clientSecret, redirectUris: [registered.redirectUri] })
  return Object.assign(provider, registered, { name: options.name ?? 'scripted' })
}

export type Requested = {
  readonly authUrl: string
  readonly connection_id: string
  readonly state: string
  readonly provider_id: string
  readonly scopes: readonly string[]
}

/** Starts a handshake for somebody. */
export async function requestConnection(
  broker: Client,
  spec: Readonly<Record<string, unknown>> = {},
): Promise<Requested> {
  const answer = await broker.post<Requested>('/auth/consent-spec', {
    workspace_id: 'user-1',
    provider_name: 'scripted',
    return_url: appUrl,
    ...spec,
  })
  if (answer.status !== 200) throw new Error(`the handshake was refused: ${answer.status} ${answer.text}`)
  return answer.body
}

export function readToken(broker: Client, connectionId: string): Promise<Answer<OAuthCredentialPayload>> {
  return broker.get<OAuthCredentialPayload>(`/connections/${connectionId}/token`)
}

/** True for the app's own address: where a browser's journey through Nexus ends. */
export function isApp(url: URL): boolean {
  return url.href.startsWith('http://127.0.0.1:1/app/')
}
