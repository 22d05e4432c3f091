import { randomBytes } from 'node:crypto'
import { fileURLToPath } from 'node:url'
import { type Service, freePort, spawnService } from '@nexus/testing'
import { test as base } from '@nexus/testing/vitest'

const service = (path: string): string => fileURLToPath(new URL(`../../../services/${path}`, import.meta.url))

export type Installation = {
  readonly broker: Service
  readonly gateway: Service
  /** For `nexus providers`. */
  readonly operatorEnv: { readonly BROKER_BASE_URL: string; readonly ADMIN_API_KEY: string }
  /** For `nexus hub` in the container of the Broker. */
  readonly localEnv: Readonly<Record<string, string>>
  /** As the operator, at the Broker. */
  readonly call: <Body = unknown>(
    method: string,
    path: string,
    body?: unknown,
  ) => Promise<{ status: number; body: Body }>
}

/** `test` with a Broker and a Gateway as they are deployed, on a database of the file's own. */
export const test = base.extend(
  'nexus',
  { scope: 'file' },
  async ({ database }, { onCleanup }): Promise<Installation> => {
    const keys = { API_KEY: randomBytes(32).toString('hex'), ADMIN_API_KEY: randomBytes(32).toString('hex') }
    const shared = { HOST: '127.0.0.1', STATE_KEY: randomBytes(32).toString('base64'), REQUIRE_BEARER: 'true' }
    const gatewayPort = await freePort()
    const services = new AsyncDisposableStack()
    onCleanup(() => services.disposeAsync())
    const broker = services.use(
      await spawnService({
        entry: service('broker/bin/nexus-broker.ts'),
        args: ['serve'],
        env: {
          ...shared,
          ...keys,
          DATABASE_URL: database.url,
          ENCRYPTION_KEY: randomBytes(32).toString('base64'),
          BASE_URL: `http://127.0.0.1:${gatewayPort}`,
          ALLOW_PRIVATE_NETWORKS: 'true',
          TRUSTED_PROXIES: '127.0.0.1',
        },
        ready: { path: '/health/ready' },
      }),
    )
    const gateway = services.use(
      await spawnService({
        entry: service('gateway/bin/nexus-gateway.ts'),
        port: gatewayPort,
        env: { ...shared, BROKER_BASE_URL: broker.url, BROKER_API_KEY: keys.API_KEY },
        ready: { path: '/health/ready' },
      }),
    )
    return {
      broker,
      gateway,
      operatorEnv: { BROKER_BASE_URL: broker.url, ADMIN_API_KEY: keys.ADMIN_API_KEY },
      localEnv: { DATABASE_URL: database.url },
      call: (method, path, body) => callBroker(`${broker.url}${path}`, keys.ADMIN_API_KEY, method, body),
    }
  },
)

async function callBroker<Body>(url: string, key: string, method: string, body: unknown) {
  const response = await fetch(url, {
    method,
    headers: { 'x-api-key': key, ...(body !== undefined && { 'content-type': 'application/json' }) },
    body: body === undefined ? null : JSON.stringify(body),
  })
  const text = await response.text()
  return { status: response.status, body: (text === '' ? null : JSON.parse(text)) as Body }
}
