import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { fileURLToPath } from 'node:url'
import { createStateSigner, randomToken } from '@nexus/crypto'
import { freePort, spawnService, type Service } from '@nexus/testing'
import { expect, test } from 'vitest'
import { id, payloadBody } from './bodies.ts'
import { send } from './harness.ts'
import { startScriptedBroker } from './scripted-broker.ts'

const entry = fileURLToPath(new URL('../bin/nexus-gateway.ts', import.meta.url))

const keys = {
  BROKER_API_KEY: randomToken(32),
  STATE_KEY: randomBytes(32).toString('base64'),
  STATE_KEY_RETIRED: randomBytes(32).toString('base64'),
}

type Env = Readonly<Record<string, string>>

function spawnGateway(broker: { readonly url: string }, env: Env = {}): Promise<Service> {
  const own = { HOST: '127.0.0.1', REQUIRE_BEARER: 'false', BROKER_BASE_URL: broker.url, ...keys }
  return spawnService({ entry, env: { ...own, ...env } })
}

type Ended = { readonly code: number; readonly stdout: string; readonly stderr: string }

function run(args: readonly string[], env: Env): Promise<Ended> {
  const { promise, resolve } = Promise.withResolvers<Ended>()
  const options = { env: { PATH: process.env['PATH'], ...env }, timeout: 20_000 }
  execFile(process.execPath, [entry, ...args], options, (error, stdout, stderr) => {
    resolve({ code: typeof error?.code === 'number' ? error.code : error === null ? 0 : -1, stdout, stderr })
  })
  return promise
}

test('--help and --version answer without any configuration; an unknown option is a usage error', async () => {
  const [help, version, unknown] = await Promise.all([run(['--help'], {}), run(['--version'], {}), run(['--nope'], {})])

  expect(help).toMatchObject({ code: 0, stdout: expect.stringContaining('BROKER_BASE_URL') })
  expect(version).toMatchObject({ code: 0, stdout: expect.stringMatching(/^\d+\.\d+\.\d+\n$/) })
  expect(unknown).toMatchObject({ code: 2, stdout: '', stderr: expect.stringContaining('--nope') })
})

test('it refuses an open door and names every fault at once, without values', async () => {
  const port = await freePort()
  const env = { ...keys, BROKER_API_KEY: 'too-short-canary', PORT: String(port), REQUIRE_BEARER: 'false' }

  const { code, stderr } = await run([], env)

  expect(code).toBe(1)
  expect(stderr).toMatch(/BROKER_BASE_URL: .*\n.*BROKER_API_KEY: .*\n.*REQUIRE_BEARER: .*ALLOW_ANONYMOUS_AGENTS=true/)
  expect(stderr).not.toContain('canary')
})

test('a port that is taken is named in one line', async () => {
  const taken = createServer().listen(0, '127.0.0.1')
  await once(taken, 'listening')
  const address = taken.address()
  const port = typeof address === 'object' ? String(address?.port) : ''
  const env = { ...keys, BROKER_BASE_URL: 'http://127.0.0.1:1', HOST: '127.0.0.1', PORT: port, REQUIRE_BEARER: 'false' }

  const { code, stderr } = await run([], env)
  taken.close()

  expect(code).toBe(1)
  expect(stderr).toBe(`nexus-gateway cannot start: port ${port} is already in use on 127.0.0.1\n`)
})

test('[R6] SIGTERM: what is in flight is answered, then the process ends with 0', async () => {
  await using broker = await startScriptedBroker()
  await using gateway = await spawnGateway(broker)
  const asked = Promise.withResolvers<void>()
  const release = Promise.withResolvers<void>()
  broker.answer(`GET /connections/${id}/token`, async (response) => {
    asked.resolve()
    await release.promise
    response.setHeader('content-type', 'application/json').end(JSON.stringify(payloadBody))
  })

  const inFlight = send(gateway, { target: `/v1/token/${id}` })
  await asked.promise
  const ended = gateway.stop('SIGTERM')
  await gateway.waitForOutput(/is draining/)
  release.resolve()

  expect((await inFlight).status).toBe(200)
  expect(await ended).toEqual({ exitCode: 0, signal: null })
})

test('a Broker that never answers does not hold the process beyond its grace', async () => {
  await using broker = await startScriptedBroker()
  await using gateway = await spawnGateway(broker, { SHUTDOWN_GRACE_SECONDS: '1' })
  const asked = Promise.withResolvers<void>()
  broker.answer(`GET /connections/${id}/token`, () => asked.resolve())

  const inFlight = send(gateway, { target: `/v1/token/${id}` }).catch(() => 'cut')
  await asked.promise

  expect(await gateway.stop('SIGTERM')).toEqual({ exitCode: 1, signal: null })
  expect(await inFlight).toBe('cut')
})

test('states of the current and of the retired key pass, others do not', async () => {
  await using broker = await startScriptedBroker()
  await using gateway = await spawnGateway(broker)
  broker.answer('GET /auth/callback', { body: 'passed' })
  const claims = { purpose: 'oauth', connectionId: id, issuedAt: Math.floor(Date.now() / 1000) } as const
  const open = async (key: Buffer) => {
    const state = createStateSigner({ key }).sign({ ...claims, jti: randomToken(32) })
    return (await send(gateway, { target: `/auth/callback?state=${state}` })).status
  }

  expect(await open(Buffer.from(keys.STATE_KEY, 'base64'))).toBe(200)
  expect(await open(Buffer.from(keys.STATE_KEY_RETIRED, 'base64'))).toBe(200)
  expect(await open(randomBytes(32))).toBe(400)
})
