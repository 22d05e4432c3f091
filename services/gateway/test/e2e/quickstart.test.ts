import { chmodSync, mkdtempSync, rmSync, statSync } from 'node:fs'
import { createServer } from 'node:net'
import { once } from 'node:events'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import type { OAuthCredentialPayload } from '@nexus/contracts'
import { type Service, createBrowser, spawnService } from '@nexus/testing'
import { expect, onTestFinished, test } from 'vitest'

type Facts = Readonly<
  Record<'broker' | 'gateway' | 'connect_url' | 'connection_id' | 'token_url' | 'provider' | 'agent_token', string>
>

const entry = fileURLToPath(new URL('../../../../scripts/quickstart.ts', import.meta.url))
const anyPorts = ['gateway', 'broker', 'provider', 'postgres'].flatMap((name) => [`--${name}-port`, '0'])
const factsLine = /^\{"broker".*\}$/m

/** A folder that the account PostgreSQL runs as can enter. */
function makeDataDir(): string {
  const dir = mkdtempSync(join(tmpdir(), 'nexus-quickstart-'))
  chmodSync(dir, 0o755)
  onTestFinished(() => rmSync(dir, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 }))
  return dir
}

async function start(dataDir: string, ...more: readonly string[]): Promise<Service & { readonly facts: Facts }> {
  const args = ['--json', '--data-dir', dataDir, ...anyPorts, ...more]
  const service = await spawnService({ entry, args, ready: { log: factsLine }, startWithinMs: 50_000 })
  onTestFinished(async () => void (await service.kill9()))
  return { ...service, facts: JSON.parse(factsLine.exec(service.output())?.[0] ?? '') as Facts }
}

async function fetchJson<Body>(
  { agent_token: token }: Facts,
  url: string,
  method = 'GET',
): Promise<{ status: number; body: Body }> {
  const response = await fetch(url, { method, headers: { authorization: `Bearer ${token}` } })
  return { status: response.status, body: (await response.json()) as Body }
}

const isListening = (url: string) =>
  fetch(`${url}/health`).then(
    () => true,
    () => false,
  )

test('npm start: click the link, log in, fetch the token; a second run still has the connection and its grant', async () => {
  const dataDir = makeDataDir()
  const first = await start(dataDir)
  const { facts } = first
  expect(first.output().match(/^\{.*\}$/gm)).toHaveLength(1)
  for (const file of ['keys.env', 'agent-token', 'admin-token'])
    expect(statSync(join(dataDir, file)).mode & 0o777).toBe(0o600)
  expect((await fetch(facts.token_url)).status, 'without the token').toBe(401)

  const page = await createBrowser({ person: { name: 'Ada' } }).open(facts.connect_url)
  expect(page.url.origin).toBe(facts.gateway)
  expect(page.status).toBe(200)
  const token = await fetchJson<OAuthCredentialPayload>(facts, facts.token_url)
  expect(token).toMatchObject({ status: 200, body: { token_type: 'Bearer', provider: facts.provider } })

  const second = spawnService({
    entry,
    args: ['--json', '--data-dir', dataDir, ...anyPorts],
    ready: { log: factsLine },
  })
  await expect(second, 'one Nexus per data folder').rejects.toThrow(/runs on .* already \(process \d+\)/)

  expect(await first.stop('SIGINT')).toEqual({ exitCode: 0, signal: null })
  expect(await Promise.all([facts.gateway, facts.broker].map(isListening))).toEqual([false, false])

  const again = await start(dataDir)
  expect(again.facts.gateway, 'links and redirect URIs stay valid').toBe(facts.gateway)
  expect(again.facts.agent_token).toBe(facts.agent_token)
  expect(again.facts.connection_id).not.toBe(facts.connection_id)
  const status = await fetchJson(again.facts, `${facts.gateway}/v1/check-connection/${facts.connection_id}`)
  expect(status.body).toMatchObject({ status: 'active' })
  const refreshed = await fetchJson<OAuthCredentialPayload>(
    again.facts,
    `${facts.gateway}/v1/refresh/${facts.connection_id}`,
    'POST',
  )
  expect(refreshed.status).toBe(200)
  expect(refreshed.body.access_token).not.toBe(token.body.access_token)

  await again.kill9()
  const deadline = Date.now() + 20_000
  while ((await isListening(facts.gateway)) || (await isListening(facts.broker))) {
    expect(Date.now(), 'a killed quickstart leaves nothing running').toBeLessThan(deadline)
    await sleep(50)
  }
}, 120_000)

test('npm start names a port that is taken before it starts anything', async () => {
  const dataDir = makeDataDir()
  const squatter = createServer().listen(0, '127.0.0.1')
  await once(squatter, 'listening')
  onTestFinished(() => void squatter.close())
  const address = squatter.address()
  const port = typeof address === 'object' ? String(address?.port) : ''

  const starting = start(dataDir, '--broker-port', port)

  await expect(starting).rejects.toThrow(new RegExp(`port ${port} \\(Broker\\) is taken.*--port-offset`))
  expect(() => statSync(join(dataDir, 'postgres'))).toThrow(/ENOENT/)
})
