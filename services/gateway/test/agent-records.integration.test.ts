import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { request as httpRequest } from 'node:http'
import { createLogger, createRedis, type RedisHandle } from '@nexus/service'
import { captureLogs, createManualClock, startRedis, type LogLine } from '@nexus/testing'
import { expect, test, vi } from 'vitest'
import { bearing, describeIdentity, judgeTokens, keyId, makeAgentToken } from './agents.ts'
import { id } from './bodies.ts'
import { send, startGateway, type Gateway } from './harness.ts'
import { startScriptedBroker } from './scripted-broker.ts'

const env = { REQUIRE_BEARER: 'true' }
const target = '/v1/providers'
const fieldNames = [
  'ts',
  'event',
  'token_hash',
  'key_id',
  'zone_id',
  'subject_id',
  'method',
  'operation',
  'status_code',
  'latency_ms',
  'user_agent',
  'request_id',
]

function hashOf(token: string): string {
  return createHash('sha256').update(token).digest('hex').slice(0, 16)
}

function recordsOf(gateway: Gateway): readonly LogLine[] {
  return gateway.logs.lines().filter((line) => line['event'] === 'agent.request')
}

/** The records of this Gateway, when there are so many: a line is written when its connection is done with the request. */
async function waitForRecords(gateway: Gateway, count: number): Promise<readonly LogLine[]> {
  await expect.poll(() => recordsOf(gateway).length).toBeGreaterThanOrEqual(count)
  return recordsOf(gateway)
}

test.each(['info', 'fatal', 'silent'] as const)(
  'each request of an agent is one line, at LOG_LEVEL=%s too, in place of the access log’s',
  async (logLevel) => {
    await using broker = await startScriptedBroker()
    await using gateway = await startGateway(broker, { env, logLevel })
    const token = makeAgentToken()
    judgeTokens(
      broker,
      'GET /providers',
      [],
      new Map([[token, describeIdentity({ owner: 'Zoë & co', zone: 'eng', tier: 'admin' })]]),
    )
    const headers = { ...bearing(token), 'user-agent': 'agent/1', 'x-request-id': 'req-12345678' }

    expect((await send(gateway, { target, headers })).status).toBe(200)

    const records = await waitForRecords(gateway, 1)
    expect(records).toEqual([
      expect.objectContaining({
        ts: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
        event: 'agent.request',
        token_hash: hashOf(token),
        key_id: keyId,
        zone_id: 'eng',
        subject_id: 'Zoë & co',
        method: 'GET',
        operation: 'list_providers',
        status_code: 200,
        latency_ms: expect.any(Number),
        user_agent: 'agent/1',
        request_id: 'req-12345678',
      }),
    ])
    expect(gateway.logs.text()).not.toContain('request answered')
  },
)

test('what is refused is recorded as well, with what is known of who asked', async () => {
  await using broker = await startScriptedBroker()
  const limited = { ...env, NEXUS_RATE_LIMIT_AUTHENTICATED: '1' }
  await using gateway = await startGateway(broker, { env: limited, now: createManualClock().now })
  const [token, unknown] = [makeAgentToken(), makeAgentToken()]
  judgeTokens(broker, 'GET /providers', [], new Map([[token, describeIdentity({ zone: 'eng' })]]))
  const asked = [
    {},
    bearing('sk-a-password-of-somebody'),
    bearing(unknown),
    bearing(token),
    bearing(token),
    { ...bearing(unknown), 'x-nexus-zone-id': 'No Zone' },
  ]

  for (const headers of asked) await send(gateway, { target, headers })
  await send(gateway, { method: 'POST', target: `/v1/refresh/${id}?a=1`, headers: bearing(unknown) })

  const facts = (await waitForRecords(gateway, 7)).map((line) =>
    ['status_code', 'token_hash', 'key_id', 'zone_id', 'operation'].map((name) => line[name]),
  )
  expect(facts).toEqual([
    [401, null, null, null, 'list_providers'],
    [401, null, null, null, 'list_providers'],
    [401, hashOf(unknown), null, null, 'list_providers'],
    [200, hashOf(token), keyId, 'eng', 'list_providers'],
    // the zone is that of a request the Broker saw, and this one it did not
    [429, hashOf(token), keyId, null, 'list_providers'],
    [400, hashOf(unknown), null, null, 'list_providers'],
    [400, hashOf(unknown), null, null, 'refresh'],
  ])
})

test('a client that goes away before its answer leaves its line, once', async () => {
  await using broker = await startScriptedBroker()
  await using gateway = await startGateway(broker, { env })
  const token = makeAgentToken()
  const asked = Promise.withResolvers<void>()
  const answered = Promise.withResolvers<void>()
  const release = Promise.withResolvers<void>()
  broker.answer(`GET /connections/${id}/token`, async (response) => {
    asked.resolve()
    await release.promise
    response.end('{}', () => answered.resolve())
  })
  const headers = bearing(token)
  const request = httpRequest({ host: '127.0.0.1', port: gateway.port, path: `/v1/token/${id}`, headers })
  request.on('error', () => undefined).end()
  await asked.promise
  request.destroy()

  expect(await waitForRecords(gateway, 1)).toMatchObject([
    { status_code: 499, operation: 'get_token', token_hash: hashOf(token) },
  ])
  release.resolve()
  await answered.promise
  await gateway.logs.waitFor((line) => line['msg'] === 'request could not be served')
  expect(recordsOf(gateway)).toHaveLength(1)
  expect(gateway.logs.text()).not.toContain('client went away')
})

test('other routes keep the access log, and leave no record', async () => {
  await using broker = await startScriptedBroker()
  await using gateway = await startGateway(broker, { env })
  broker.answer('GET /auth/connect/ticket', { body: 'page' })

  await send(gateway, { target: '/auth/connect/ticket', headers: bearing(makeAgentToken()) })
  await send(gateway, { target: '/v1/nothing', headers: bearing(makeAgentToken()) })

  await gateway.logs.waitFor((line) => line['msg'] === 'request answered' && line['status'] === 404)
  expect(recordsOf(gateway)).toEqual([])
})

function connect(url: string): RedisHandle {
  const redis = createRedis(url, createLogger({ level: 'warn', service: 'gateway', destination: captureLogs() }))
  if (redis === undefined) throw new Error('there is a URL')
  return redis
}

test('the same record is a message on nexus:audit:mcp, with these fields and no other', async () => {
  await using redisServer = await startRedis()
  await using broker = await startScriptedBroker()
  const redis = connect(redisServer.url)
  await expect.poll(() => redis.ping(), { timeout: 10_000 }).toBe(true)
  const listener = redis.client.duplicate()
  await vi.waitFor(() => listener.subscribe('nexus:audit:mcp'), 10_000)
  await using gateway = await startGateway(broker, { env, redis })
  const token = makeAgentToken()
  judgeTokens(broker, 'GET /providers', [], new Map([[token, describeIdentity({ zone: 'eng' })]]))
  const heard = once(listener, 'message')
  // cut in the middle of what must not be shown
  const headers = { ...bearing(token), 'user-agent': `x "quoted" ${'y'.repeat(200)} ${token}` }

  await send(gateway, { target, headers })

  const [channel, message] = (await heard) as [string, string]
  expect(channel).toBe('nexus:audit:mcp')
  const record = JSON.parse(message) as LogLine
  expect(Object.keys(record)).toEqual(fieldNames)
  expect(record).toMatchObject({ key_id: keyId, zone_id: 'eng', token_hash: hashOf(token), status_code: 200 })
  expect(message).not.toContain(token.slice(-43, -30))
  expect(record['user_agent']).toMatch(/^x "quoted" y{200} sk-root_bot_[0-9a-f]{8}_\[redacted\]$/)
  expect((await waitForRecords(gateway, 1))[0]).toMatchObject(record)
  listener.disconnect()
  await redis.close()
})

test('[R5] a Redis that is silent or gone delays no answer and loses no line; what it missed is counted', async () => {
  await using redisServer = await startRedis()
  await using broker = await startScriptedBroker()
  const redis = connect(redisServer.url)
  await expect.poll(() => redis.ping(), { timeout: 10_000 }).toBe(true)
  await using gateway = await startGateway(broker, { env, redis })
  broker.answer('GET /providers', { body: [] })
  const headers = bearing(makeAgentToken())
  let sent = 0

  for (const impair of [async () => redisServer.pause(), redisServer.stop]) {
    await impair()
    const started = performance.now()
    for (let time = 0; time < 20; time++) expect((await send(gateway, { target, headers })).status).toBe(200)
    sent += 20
    expect(performance.now() - started).toBeLessThan(2_000)
    await waitForRecords(gateway, sent)
    redisServer.resume()
  }

  await vi.waitFor(async () => {
    const { text } = await send(gateway, { target: '/metrics', headers: { 'x-api-key': gateway.apiKey } })
    expect(Number(/^nexus_audit_messages_lost_total\{.*\} (\d+)$/m.exec(text)?.[1])).toBeGreaterThan(0)
  }, 5_000)
  expect(recordsOf(gateway)).toHaveLength(40)
  await redis.close()
})

test('[L3] metrics count by operation, transport and class of status, and tell how many agents there are', async () => {
  await using broker = await startScriptedBroker()
  await using gateway = await startGateway(broker, { env })
  const tokens = [makeAgentToken(), makeAgentToken()]
  const taken = new Map(
    tokens.map((token, index) => [token, describeIdentity({ keyId: `${keyId.slice(0, -1)}${index}` })]),
  )
  judgeTokens(broker, 'GET /providers', [], taken)
  for (const token of [...tokens, tokens[0]!, makeAgentToken()]) {
    await send(gateway, { target, headers: { ...bearing(token), 'user-agent': 'label-canary' } })
  }
  await waitForRecords(gateway, 4)

  const { text } = await send(gateway, { target: '/metrics', headers: { 'x-api-key': gateway.apiKey } })

  const lines = text.split('\n').filter((line) => /^nexus_(requests|errors|request_latency|active)/.test(line))
  const labels = (status: string) =>
    `{operation="list_providers",transport="rest",status_class="${status}",service="gateway"}`
  expect(lines).toContain(`nexus_requests_total${labels('2xx')} 3`)
  expect(lines).toContain(`nexus_requests_total${labels('4xx')} 1`)
  expect(lines.filter((line) => line.startsWith('nexus_errors_total'))).toEqual([
    `nexus_errors_total${labels('4xx')} 1`,
  ])
  expect(text).toMatch(/^nexus_request_latency_seconds_count\{.*operation="list_providers".*status_class="2xx"\} 3$/m)
  expect(lines).toContain('nexus_active_clients{service="gateway"} 2')
  expect(text).not.toMatch(/label-canary|sk-root|0198a1b2/)
})
