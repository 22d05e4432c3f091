import { registerHealth, type ZodApp } from '@nexus/service'
import { expect, test } from 'vitest'
import { lastBody, openRaw, request } from './raw-http.ts'
import { startApp } from './test-app.ts'

/** Routes of which `/work` answers when told to. */
function addWork() {
  const work = Promise.withResolvers<string>()
  const draining = Promise.withResolvers<void>()
  const entered = Promise.withResolvers<void>()
  const addRoutes = (app: ZodApp): void => {
    registerHealth(app, { ready: async () => ({ ok: true, checks: {} }) })
    app.addHook('preClose', async () => draining.resolve())
    app.get('/quick', async () => 'ok')
    app.get('/work', () => {
      entered.resolve()
      return work.promise
    })
  }
  const finish = (): void => work.resolve('finished')
  return { addRoutes, entered: entered.promise, draining: draining.promise, finish }
}

test('[R6] what is in flight finishes, and then the server is closed', async () => {
  const { addRoutes, entered, draining, finish } = addWork()
  await using server = await startApp(addRoutes)
  using client = await openRaw(server.port)
  client.send(request('GET', '/work'))
  await entered

  const closed = server.app.close()
  await draining
  expect(server.app.isDraining()).toBe(true)
  expect(client.received()).toBe('')
  finish()
  const received = await client.closed
  expect(received).toMatch(/^HTTP\/1\.1 200 [\s\S]*finished$/)
  expect(received).toMatch(/\r\nconnection: close\r\n/i)
  await closed
  await expect(openRaw(server.port)).rejects.toThrow('ECONNREFUSED')
})

test('[R6] a request that still arrives while it drains is sent elsewhere, and probes are told', async () => {
  const { addRoutes, draining } = addWork()
  const held = Promise.withResolvers<void>()
  await using server = await startApp((app) => {
    addRoutes(app)
    // the server goes on listening until this is through
    app.addHook('preClose', () => held.promise)
  })
  using caller = await openRaw(server.port)
  using probe = await openRaw(server.port)
  const closed = server.app.close()
  await draining

  caller.send(request('GET', '/quick'))
  probe.send(request('GET', '/health/ready'))
  const refused = await caller.closed
  expect(refused).toMatch(/^HTTP\/1\.1 503 /)
  expect(refused).toMatch(/\r\nretry-after: 1\r\n/i)
  expect(lastBody(refused)).toMatchObject({ code: 'unavailable', request_id: expect.any(String) })
  expect(lastBody(await probe.closed)).toEqual({ status: 'draining' })
  held.resolve()
  await closed
})

test('[R6] neither an idle connection nor a half-sent request holds the server open', async () => {
  const { addRoutes } = addWork()
  await using server = await startApp(addRoutes)
  using idle = await openRaw(server.port)
  idle.send(request('GET', '/quick'))
  await idle.waitFor(/ok$/)
  using half = await openRaw(server.port)
  half.send('GET /quick HTTP/1.1\r\nhost: te')
  using dripping = await openRaw(server.port)
  dripping.send(request('POST', '/quick', { 'content-type': 'application/json', 'content-length': '100' }, '{'))

  const started = performance.now()
  await server.app.close()
  await Promise.all([idle.closed, half.closed, dripping.closed])
  expect(performance.now() - started).toBeLessThan(10_000)
})

test('[R6] a connection that was busy when the drain began is closed with its answer, not after its idle time', async () => {
  const { addRoutes, entered, finish } = addWork()
  await using server = await startApp(addRoutes)
  const working = fetch(`${server.url}/work`)
  await entered
  const closed = server.app.close()
  finish()
  const answer = await working
  expect(await answer.text()).toBe('finished')
  const started = performance.now()
  await closed
  expect(performance.now() - started).toBeLessThan(5_000)
})
