import { expect, test } from 'vitest'
import { connectionBody } from './bodies.ts'
import { send, startGateway } from './harness.ts'
import { startScriptedBroker } from './scripted-broker.ts'

test('[C2] a page rebound to this machine reads nothing from an anonymous Gateway', async () => {
  await using broker = await startScriptedBroker()
  await using gateway = await startGateway(broker)
  const target = `/v1/token/${connectionBody.id}`

  for (const host of ['evil.example', 'evil.example:8090']) {
    const answer = await send(gateway, { target, headers: { host } })
    expect(answer.status, host).toBe(403)
    expect(answer.json(), host).toMatchObject({ code: 'forbidden', details: { setting: 'ALLOWED_HOSTS' } })
  }
  expect(broker.requests).toEqual([])
})

test('a listed name, an address and localhost pass', async () => {
  await using broker = await startScriptedBroker()
  await using gateway = await startGateway(broker, { env: { ALLOWED_HOSTS: 'nexus.internal.example' } })
  broker.answer('GET /providers', { body: [] })

  for (const host of ['nexus.internal.example', 'localhost:8090', '127.0.0.1:8090', '[::1]:8090']) {
    expect((await send(gateway, { target: '/v1/providers', headers: { host } })).status, host).toBe(200)
  }
})

test('[C2] what a proxy brought is refused under a local name: it was meant for browsers', async () => {
  await using broker = await startScriptedBroker()
  await using gateway = await startGateway(broker, { env: { ALLOWED_HOSTS: 'nexus.internal.example' } })
  broker.answer('GET /providers', { body: [] })

  for (const header of ['x-forwarded-for', 'x-forwarded-host', 'forwarded', 'x-real-ip', 'via']) {
    const forwarded = { [header]: '203.0.113.9' }
    const hidden = await send(gateway, { target: '/v1/providers', headers: { host: '127.0.0.1:8090', ...forwarded } })
    expect(hidden.status, header).toBe(403)
    const listed = { host: 'nexus.internal.example', ...forwarded }
    expect((await send(gateway, { target: '/v1/providers', headers: listed })).status, header).toBe(200)
  }
})
