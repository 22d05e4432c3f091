import { randomBytes, randomUUID } from 'node:crypto'
import { fileURLToPath } from 'node:url'
import type { ConnectionRequested, Disconnected } from '@nexus/contracts'
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

/**
 * A whole installation in processes of its own, as it is deployed: the Broker behind, the Gateway as the one public
 * origin. Both end with the scope that disposes of it.
 */
export async function startNexus(database: Pick<TestDatabase, 'url'>, env: Readonly<Record<string, string>> = {}) {
  await using resources = new AsyncDisposableStack()
  const [brokerPort, gatewayPort] = [await freePort(), await freePort()]
  const gatewayUrl = `http://127.0.0.1:${gatewayPort}`
  const apiKey = randomBytes(32).toString('hex')
  const adminKey = randomBytes(32).toString('hex')
  const shared = {
    HOST: '127.0.0.1',
    STATE_KEY: randomBytes(32).toString('base64'),
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
        ENCRYPTION_KEY: randomBytes(32).toString('base64'),
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
  const mintToken = (permissions: string) => mintAt(broker.url, adminKey, permissions)
  const appToken = await mintToken('c')
  const owned = resources.move()
  return {
    broker,
    gateway,
    async registerProfile(profile: Readonly<Record<string, unknown>>): Promise<{ id: string; redirect_uri: string }> {
      const headers = { 'x-api-key': adminKey }
      const answer = await callJson<{ id: string; redirect_uri: string }>(`${broker.url}/providers`, {
        body: profile,
        headers,
      })
      if (answer.status !== 201) throw new Error(`the profile was refused: ${JSON.stringify(answer.body)}`)
      return answer.body
    },
    /** A call of an agent: GET without a body, POST with one. */
    call: <Body = unknown>(path: string, body?: unknown) =>
      callJson<Body>(`${gatewayUrl}${path}`, body === undefined ? {} : { body }),
    mintToken,
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

/** In root, as an operator mints it. */
async function mintAt(brokerUrl: string, adminKey: string, permissions: string): Promise<string> {
  const answer = await callJson<{ token: string }>(`${brokerUrl}/agent-tokens`, {
    body: { name: randomUUID(), zones: [{ zone: 'root', permissions }] },
    headers: { 'x-api-key': adminKey },
  })
  if (answer.status !== 201) throw new Error(`no token: ${JSON.stringify(answer.body)}`)
  return answer.body.token
}

type Called = {
  /** Default: GET without a body, POST with one. */
  readonly method?: string
  readonly body?: unknown
  readonly headers?: Readonly<Record<string, string>>
}

async function callJson<Body>(url: string, { method, body, headers }: Called): Promise<{ status: number; body: Body }> {
  const response = await fetch(url, {
    method: method ?? (body === undefined ? 'GET' : 'POST'),
    headers: { ...(body !== undefined && { 'content-type': 'application/json' }), ...headers },
    body: body === undefined ? null : JSON.stringify(body),
  })
  return { status: response.status, body: (await response.json()) as Body }
}

/** `test` with one installation for the whole file. */
export const test = base.extend('nexus', { scope: 'file' }, async ({ database }, { onCleanup }) => {
  const nexus = await startNexus(database)
  onCleanup(() => nexus[Symbol.asyncDispose]())
  return nexus
})
