import { expect, test } from 'vitest'
import { createServer } from './create-server.ts'
import { registerHealth, type HealthOptions } from './health.ts'
import { createLogger } from './logger.ts'

function build(options: HealthOptions) {
  const app = createServer({ logger: createLogger({ level: 'silent', service: 'test' }) })
  registerHealth(app, options)
  return app
}

test('a living process says so, whatever it needs is doing', async () => {
  const answer = await build({ ready: () => Promise.reject(new Error('away')) }).inject('/health')
  expect([answer.statusCode, answer.json()]).toEqual([200, { status: 'ok' }])
})

test('a part that the service can do without does not make it unready', async () => {
  const app = build({ ready: async () => ({ ok: true, checks: { postgres: 'ok', redis: 'away' } }) })
  const answer = await app.inject('/health/ready')
  expect([answer.statusCode, answer.json()]).toEqual([200, { status: 'ready', postgres: 'ok', redis: 'away' }])
})

test('a part that it needs does', async () => {
  const app = build({ ready: async () => ({ ok: false, checks: { postgres: 'away' } }) })
  const answer = await app.inject('/health/ready')
  expect([answer.statusCode, answer.json()]).toEqual([503, { status: 'not_ready', postgres: 'away' }])
})

test('a check that fails is not ready, and tells nobody why', async () => {
  const answer = await build({ ready: () => Promise.reject(new Error('inside')) }).inject('/health/ready')
  expect([answer.statusCode, answer.json()]).toEqual([503, { status: 'not_ready' }])
})

test('a check that hangs is not ready within its deadline', async () => {
  const { promise } = Promise.withResolvers<never>()
  const answer = await build({ ready: () => promise, deadlineMilliseconds: 20 }).inject('/health/ready')
  expect(answer.statusCode).toBe(503)
})

test('a check cannot pretend another status', async () => {
  const app = build({ ready: async () => ({ ok: false, checks: { status: 'ready' } }) })
  expect((await app.inject('/health/ready')).json()).toEqual({ status: 'not_ready' })
})

test('probes are public and answered without a credential', async () => {
  const app = build({ ready: async () => ({ ok: true, checks: {} }) })
  const configs: unknown[] = []
  app.addHook('onRequest', async (request) => void configs.push(request.routeOptions.config.public))
  await app.inject('/health')
  await app.inject('/health/ready')
  expect(configs).toEqual([true, true])
})
