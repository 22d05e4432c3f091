import { afterEach, expect, test } from 'vitest'
import { createTransport, TransportBusy, type Transport, type WireRequest } from '../src/broker/broker-transport.ts'
import { startScriptedBroker, type ScriptedBroker } from './scripted-broker.ts'

let transport: Transport | undefined
afterEach(() => transport?.close())

function open(broker: ScriptedBroker, maxConnections: number, maxCalls: number, path = ''): Transport {
  transport = createTransport({ baseUrl: new URL(broker.url + path), maxConnections, maxCalls })
  return transport
}

function get(path: string, deadlineMs = 5_000): WireRequest {
  return { method: 'GET', path, headers: {}, limits: { deadlineMs, maxAnswerBytes: 1_000 } }
}

test('[C6] calls beyond what may wait are refused at once; those that wait are answered', async () => {
  await using broker = await startScriptedBroker()
  const { send } = open(broker, 2, 5)
  const release = Promise.withResolvers<void>()
  broker.answer('GET /slow', async (response) => {
    await release.promise
    response.end('done')
  })

  const waiting = Array.from({ length: 5 }, () => send(get('/slow')))
  await expect(send(get('/slow'))).rejects.toThrow(TransportBusy)
  release.resolve()

  expect((await Promise.all(waiting)).map(({ body }) => body.toString())).toEqual(
    Array.from({ length: 5 }, () => 'done'),
  )
  expect((await send(get('/slow'))).status).toBe(200)
})

test('the deadline covers the wait for a connection, and a call that gave up is never sent', async () => {
  await using broker = await startScriptedBroker()
  const { send } = open(broker, 1, 5)
  const release = Promise.withResolvers<void>()
  broker.answer('GET /slow', async (response) => {
    await release.promise
    response.end('done')
  })

  const first = send(get('/slow'))
  await expect(send(get('/never', 30))).rejects.toMatchObject({ kind: 'deadline', began: false })
  release.resolve()
  await first
  await send(get('/slow'))

  expect(broker.requests.map(({ target }) => target)).toEqual(['/slow', '/slow'])
})

test('connections are kept and taken again', async () => {
  await using broker = await startScriptedBroker()
  const { send } = open(broker, 4, 5)
  const ports = new Set<number | undefined>()
  broker.answer('GET /', (response) => {
    ports.add(response.socket?.remotePort)
    response.end()
  })

  for (let call = 0; call < 20; call++) await send(get('/'))

  // undici is still busy with a connection in the moment it hands over the answer, so one after another may use two
  expect(ports.size).toBeLessThanOrEqual(2)
})

test('a base URL with a path is a prefix', async () => {
  await using broker = await startScriptedBroker()
  const { send } = open(broker, 1, 5, '/inner/nexus')
  broker.answer('GET /inner/nexus/providers', { body: 'ok' })

  expect((await send(get('/providers?a=b'))).body.toString()).toBe('ok')
  expect(broker.requests[0]?.target).toBe('/inner/nexus/providers?a=b')
})

test('an answer beyond the limit is refused though it ends', async () => {
  await using broker = await startScriptedBroker()
  const { send } = open(broker, 1, 5)
  broker.answer('GET /', { body: 'a'.repeat(1_001) })

  await expect(send(get('/'))).rejects.toMatchObject({ kind: 'oversized', began: true })
})
