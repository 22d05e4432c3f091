import { Counter } from 'prom-client'
import { expect, test } from 'vitest'
import { createServer } from './create-server.ts'
import { createLogger } from './logger.ts'
import { createMetrics, renderMetrics } from './metrics.ts'

function build() {
  const metrics = createMetrics('nexus-test')
  const app = createServer({ logger: createLogger({ level: 'silent', service: 'test' }), metrics })
  app.get('/things/:id', async () => ({}))
  app.get('/auth/connect/:ticket', () => Promise.reject(new Error('inside')))
  return { app, metrics }
}

async function seriesOf(metrics: ReturnType<typeof createMetrics>): Promise<readonly string[]> {
  const { text } = await renderMetrics(metrics)
  return text.split('\n').filter((line) => line.startsWith('nexus_http_requests_total'))
}

test('[L3] whatever ids and paths are thrown at it, the series stay the same few', async () => {
  const { app, metrics } = build()
  const attack = async (round: number): Promise<void> => {
    await app.inject(`/things/${round}`)
    await app.inject(`/auth/connect/ticket-${round}`)
    await app.inject(`/nowhere/${round}?q=${round}`)
    await app.inject(`/things/%zz${round}`)
    await app.inject({ method: 'OPTIONS', url: `/things/${round}` })
  }
  await attack(0)
  const after = await seriesOf(metrics)
  for (let round = 1; round < 50; round++) await attack(round)
  expect((await seriesOf(metrics)).length).toBe(after.length)
  expect(after.map((line) => line.replace(/ \d+$/, '')).toSorted()).toEqual([
    'nexus_http_requests_total{route="/auth/connect/:ticket",method="GET",status_class="5xx",service="nexus-test"}',
    'nexus_http_requests_total{route="/things/:id",method="GET",status_class="2xx",service="nexus-test"}',
    'nexus_http_requests_total{route="unmatched",method="GET",status_class="4xx",service="nexus-test"}',
    'nexus_http_requests_total{route="unmatched",method="OPTIONS",status_class="4xx",service="nexus-test"}',
  ])
})

test('[L1] metrics carry no ticket, code or state', async () => {
  const { app, metrics } = build()
  await app.inject('/auth/connect/canary-31?code=canary-31&state=canary-31')
  expect((await renderMetrics(metrics)).text).not.toContain('canary-31')
})

test('durations are observed per route, in seconds', async () => {
  const { app, metrics } = build()
  await app.inject('/things/1')
  const { text, contentType } = await renderMetrics(metrics)
  expect(contentType).toContain('text/plain')
  expect(text).toMatch(/nexus_http_request_duration_seconds_count\{[^}]*route="\/things\/:id"[^}]*\} 1/)
  expect(text).toContain('process_cpu_user_seconds_total')
})

test('two services in one process keep their metrics apart, and add their own', async () => {
  const first = createMetrics('first')
  const second = createMetrics('second')
  new Counter({ name: 'own_total', help: 'of the first', registers: [first.registry] }).inc()
  expect((await renderMetrics(first)).text).toContain('own_total{service="first"} 1')
  expect((await renderMetrics(second)).text).not.toContain('own_total')
})
