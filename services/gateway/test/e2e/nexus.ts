import { randomBytes, randomUUID } from 'node:crypto'
import { fileURLToPath } from 'node:url'
import type { ConnectionRequested, CreateAgentToken, CreatedAgentToken, Disconnected, Zone } from '@nexus/contracts'
import { type TestDatabase, freePort, spawnService } from '@nexus/testing'
import { test as base } from '@nexus/testing/vitest'

const bin = (path: string): string => fileURLToPath(new URL(`../../../${path}`, import.meta.url))

export const clientId = 'nexus-e2e'
export const clientSecret = 'the-client-secret-of-the-e2e-tests'

/** Where journeys end: no browser of a test opens it. */
export const appUrl = 'http://127.0.0.1:1/app/done'

export function isApp(url: URL): boolean {
  return url.href.startsWith(appUrl)
}

/** What all Brokers and Gateways of one installation share. */
export function makeKeys() {
  return {
    stateKey: randomBytes(32).toString('base64'),
    encryptionKey: randomBytes(32).toString('base64'),
    apiKey: randomBytes(32).toString('hex'),
    adminKey: randomBytes(32).toString('hex'),
  }
}

/**
 * A whole installation in processes of its own, as it is deployed: the Broker behind, the Gateway as the one public
 * origin. Both end with the scope that disposes of it.
 *
 * @param keys - those of another one, to start more of the same
 */
export async function startNexus(
  database: Pick<TestDatabase, 'url'>,
  env: Readonly<Record<string, string>> = {},
  keys: ReturnType<typeof makeKeys> = makeKeys(),
) {
  await using resources = new AsyncDisposableStack()
  const [brokerPort, gatewayPort] = [await freePort(), await freePort()]
  const gatewayUrl = `http://127.0.0.1:${gatewayPort}`
  const { apiKey, adminKey } = keys
  const shared = {
    HOST: '127.0.0.1',
    STATE_KEY: keys.stateKey,
    REQUIRE_BEARER: 'false',
    LOG_LEVEL: 'trace',
    NEXUS_RATE_LIMIT_ANONYMOUS: '0',
    ...env,
  }
  const broker = resources.use(
    await spawnService({
      entry: bin('broker/bin/nexus-broker.ts'),
      args: ['serve'],
      port: brokerPort,
      env: {
        ...shared,
        DATABASE_URL: database.url,
        ENCRYPTION_KEY: keys.encryptionKey,
        API_KEY: apiKey,
        ADMIN_API_KEY: adminKey,
        BASE_URL: gatewayUrl,
        ALLOW_PRIVATE_NETWORKS: 'true',
        TRUSTED_PROXIES: '127.0.0.1',
      },
    }),
  )
  const gateway = resources.use(
    await spawnService({
      entry: bin('gateway/bin/nexus-gateway.ts'),
      port: gatewayPort,
      env: { ...shared, BROKER_BASE_URL: broker.url, BROKER_API_KEY: apiKey },
      ready: { path: '/health/ready' },
    }),
  )
  const operator = createOperator(broker.url, adminKey)
  const appToken = await operator.mintToken('c')
  const owned = resources.move()
  return {
    broker,
    gateway,
    ...operator,
    /** A call of an agent: GET without a body, POST with one. */
    call: <Body = unknown>(path: string, body?: unknown) =>
      callJson<Body>(`${gatewayUrl}${path}`, body === undefined ? {} : { body }),
    /** As a client with these headers calls: at the Gateway unless the whole URL is given. */
    callAs: <Body = unknown>(headers: Headers, method: string, path: string, body?: unknown) =>
      callJson<Body>(new URL(path, gatewayUrl).href, { method, headers, body }),
    keys,
    /** What the servers of apps show. */
    appToken,
    /** A call of an app's server. */
    complete: (body: unknown) =>
      callJson<{ code?: string; details?: { status?: string } }>(`${gatewayUrl}/v1/complete-connection`, {
        body,
        headers: { authorization: `Bearer ${appToken}` },
      }),
    disconnect: (connectionId: string) =>
      callJson<Disconnected>(`${gatewayUrl}/v1/connections/${connectionId}`, { method: 'DELETE' }),
    async requestConnection(providerName: string, more: Readonly<Record<string, unknown>> = {}) {
      const body = { user_id: 'user-1', provider_name: providerName, return_url: appUrl, ...more }
      const answer = await callJson<ConnectionRequested>(`${gatewayUrl}/v1/request-connection`, { body })
      if (answer.status !== 200) throw new Error(`no connection: ${answer.status} ${JSON.stringify(answer.body)}`)
      return answer.body
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  }
}

export type Nexus = Awaited<ReturnType<typeof startNexus>>

/** What an operator does at the Broker itself. */
function createOperator(brokerUrl: string, adminKey: string) {
  async function create<Body>(path: string, body: unknown): Promise<Body> {
    const answer = await callJson<Body>(`${brokerUrl}${path}`, { body, headers: { 'x-api-key': adminKey } })
    if (answer.status !== 201) throw new Error(`${path} was refused: ${JSON.stringify(answer.body)}`)
    return answer.body
  }
  const mint = (wanted: Partial<CreateAgentToken>) =>
    create<CreatedAgentToken>('/agent-tokens', { name: randomUUID(), ...wanted })
  return {
    registerProfile: (profile: Readonly<Record<string, unknown>>) =>
      create<{ id: string; redirect_uri: string }>('/providers', profile),
    createZone: (name: string) => create<Zone>('/zones', { name }),
    mint,
    /** In root. */
    mintToken: async (permissions: string) => (await mint({ zones: [{ zone: 'root', permissions }] })).token,
  }
}

type Headers = Readonly<Record<string, string>>

type Called = {
  /** Default: GET without a body, POST with one. */
  readonly method?: string
  readonly body?: unknown
  readonly headers?: Headers
}

type Answered<Body> = { readonly status: number; readonly headers: globalThis.Headers; readonly body: Body }

async function callJson<Body>(url: string, { method, body, headers }: Called): Promise<Answered<Body>> {
  const response = await fetch(url, {
    method: method ?? (body === undefined ? 'GET' : 'POST'),
    headers: { ...(body !== undefined && { 'content-type': 'application/json' }), ...headers },
    body: body === undefined ? null : JSON.stringify(body),
  })
  return { status: response.status, headers: response.headers, body: (await response.json()) as Body }
}

/** `test` with one installation for the whole file. */
export const test = base.extend('nexus', { scope: 'file' }, async ({ database }, { onCleanup }) => {
  const nexus = await startNexus(database)
  onCleanup(() => nexus[Symbol.asyncDispose]())
  return nexus
})
