import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import type { Options, Ports } from './options.ts'
import { choosePorts } from './ports.ts'

const anyPorts: Ports = { gateway: 0, broker: 0, provider: 0, postgres: 0 }

const makeOptions = (): Options => {
  const dataDir = mkdtempSync(join(tmpdir(), 'nexus-ports-'))
  onTestFinished(() => rmSync(dataDir, { recursive: true }))
  return { ports: anyPorts, dataDir, databaseUrl: undefined, json: false }
}

const listen = async (port: number): Promise<Server> => {
  const server = createServer().listen(port, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => void server.close())
  return server
}

test('any port: four different ones, the same again next time while they are free', async () => {
  const options = makeOptions()
  const chosen = await choosePorts(options)
  expect(new Set(Object.values(chosen)).size).toBe(4)
  expect(Object.values(chosen)).not.toContain(0)
  expect(await choosePorts(options)).toEqual(chosen)
  await listen(chosen.broker)
  const others = await choosePorts(options)
  expect(others).toMatchObject({ gateway: chosen.gateway, provider: chosen.provider })
  expect(others.broker).not.toBe(chosen.broker)
})

test('all ports that are taken are named at once', async () => {
  const options = makeOptions()
  const ports = await choosePorts(options)
  await listen(ports.gateway)
  await listen(ports.postgres)
  const taken = choosePorts({ ...options, ports })
  await expect(taken).rejects.toThrow(
    `port ${ports.gateway} (Gateway) is taken, port ${ports.postgres} (PostgreSQL) is taken: choose others`,
  )
})

test('two parts that ask for one port are told so', async () => {
  const options = makeOptions()
  const { broker } = await choosePorts(options)
  const both = choosePorts({ ...options, ports: { ...anyPorts, broker, gateway: broker } })
  await expect(both).rejects.toThrow(`port ${broker} (Broker) is taken`)
})

test('with a database of its own, PostgreSQL needs no port', async () => {
  const options = makeOptions()
  const ports = await choosePorts(options)
  await listen(ports.postgres)
  const chosen = await choosePorts({ ...options, ports, databaseUrl: 'postgresql://elsewhere/nexus' })
  expect(chosen).toEqual(ports)
})

test('a list of earlier ports that a killed run left half-written is no obstacle', async () => {
  const options = makeOptions()
  writeFileSync(join(options.dataDir, 'ports.json'), '{"gateway":80')
  expect(Object.values(await choosePorts(options))).not.toContain(0)
})
