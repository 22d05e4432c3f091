import assert from 'node:assert/strict'
import { freePort, startTemporaryCluster } from '@nexus/testing'
import { type ComposeFile, type Variables, environmentOf } from './compose-file.ts'
import type { Image } from './perform-image.ts'
import { checkHealth, execInside, runContainer, startContainer } from './run-container.ts'

export type Setup = {
  readonly broker: Image
  readonly gateway: Image
  readonly compose: ComposeFile
  /** What .env would hold. */
  readonly values: Variables
  readonly say: (line: string) => void
}

/**
 * Starts what the Dockerfiles made in the order of docker-compose.yml, with its environment, on a PostgreSQL of its own:
 * migrate, Broker, Gateway; asks each something, and stops them.
 */
export async function tryImages({ broker, gateway, compose, values, say }: Setup): Promise<void> {
  await using cluster = await startTemporaryCluster()
  const ports = { broker: await freePort(), gateway: await freePort() }
  const here = {
    // one machine in the place of the networks
    ALLOWED_CIDRS: '127.0.0.1/32',
    TRUSTED_PROXIES: '127.0.0.1/32',
    REDIS_URL: '',
  }
  const database = { DATABASE_URL: cluster.url('postgres') }
  const migrateEnv = { ...environmentOf(compose, 'migrate', values), ...database }
  const brokerEnv = {
    ...environmentOf(compose, 'broker', values),
    ...here,
    ...database,
    PORT: String(ports.broker),
    BASE_URL: `http://localhost:${ports.gateway}`,
  }
  const gatewayEnv = {
    ...environmentOf(compose, 'gateway', values),
    ...here,
    PORT: String(ports.gateway),
    BROKER_BASE_URL: `http://127.0.0.1:${ports.broker}`,
  }

  const refused = await runContainer(broker, brokerEnv)
  assert.equal(refused.code, 1, `the Broker should refuse an old schema:\n${refused.output}`)
  assert.match(refused.output, /run: nexus-broker migrate up/)
  say('the Broker refuses a database that was not migrated, and says what to run')

  for (const args of [
    ['migrate', 'up'],
    ['migrate', 'status'],
  ]) {
    const done = await runContainer(broker, migrateEnv, args)
    assert.equal(done.code, 0, `${args.join(' ')} failed:\n${done.output}`)
  }
  say('migrate up brings the schema')

  assert.equal(await checkHealth(broker, brokerEnv), false, 'HEALTHCHECK succeeds while nothing runs')
  await using runningBroker = startContainer(broker, brokerEnv)
  await runningBroker.waitUntilHealthy()
  await using runningGateway = startContainer(gateway, gatewayEnv)
  await runningGateway.waitUntilHealthy()
  say('the HEALTHCHECK of both succeeds once they run')

  const token = await mintToken(broker, brokerEnv)
  say('`nexus hub token create` beside the Broker makes the first administrator')

  await useThem(ports, values, token)
  say('a provider can be registered; the Gateway lists it, is ready, and forwards /auth')

  for (const [name, container] of Object.entries({ gateway: runningGateway, broker: runningBroker })) {
    const { code, signal, output } = await container.stop()
    assert.deepEqual({ code, signal }, { code: 0, signal: null }, `${name} did not end well:\n${output}`)
  }
  say('both end with 0 when they are told to stop')
}

async function mintToken(broker: Image, env: Variables): Promise<string> {
  const created = await execInside(broker, env, ['nexus', 'hub', 'token', 'create', '--name', 'admin', '--admin'])
  assert.equal(created.code, 0, `nexus failed in the image of the Broker:\n${created.output}`)
  const status = await execInside(broker, env, ['nexus', 'hub', 'status'])
  assert.equal(status.code, 0, `nexus hub status finds the hub unwell:\n${status.output}`)
  const token = /^token: {2}(sk-\S+)$/m.exec(created.output)?.[1]
  assert.ok(token !== undefined, `no token was printed:\n${created.output}`)
  return token
}

async function useThem(
  ports: { readonly broker: number; readonly gateway: number },
  values: Variables,
  token: string,
): Promise<void> {
  const created = await fetch(`http://127.0.0.1:${ports.broker}/providers`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'x-api-key': values['ADMIN_API_KEY'] ?? '' },
    body: JSON.stringify({
      name: 'check-image',
      client_id: 'client',
      client_secret: 'secret',
      auth_url: 'https://provider.invalid/authorize',
      token_url: 'https://provider.invalid/token',
    }),
  })
  assert.equal(created.status, 201, await created.text())

  const ready = await fetch(`http://127.0.0.1:${ports.gateway}/health/ready`)
  assert.equal(ready.status, 200, await ready.text())
  const headers = { authorization: `Bearer ${token}` }
  const listed = await fetch(`http://127.0.0.1:${ports.gateway}/v1/providers`, { headers })
  assert.match(await listed.text(), /"name":"check-image"/)
  const page = await fetch(`http://127.0.0.1:${ports.gateway}/auth/connect/${'x'.repeat(43)}`)
  assert.equal(page.headers.get('content-type')?.split(';', 1)[0], 'text/html', `GET /auth/connect is ${page.status}`)
}
