import { createManualClock } from '@nexus/testing'
import { expect, test } from 'vitest'
import { bearing, describeIdentity, makeAgentToken } from './agents.ts'
import { send, startGateway } from './harness.ts'
import { startScriptedBroker } from './scripted-broker.ts'

const target = '/v1/providers'

test.each(['true', 'false'])(
  'exactly one token is passed on, in one form, however it came (REQUIRE_BEARER=%s)',
  async (REQUIRE_BEARER) => {
    await using broker = await startScriptedBroker()
    await using gateway = await startGateway(broker, { env: { REQUIRE_BEARER } })
    broker.answer('GET /providers', { body: [] })
    const [token, other] = [makeAgentToken(), makeAgentToken()]
    const shown: readonly Record<string, string | string[]>[] = [
      bearing(token),
      { authorization: `bEARER ${token}` },
      { 'x-nexus-api-key': token },
      { 'x-nexus-api-key': token, ...bearing(other) },
      { 'x-nexus-api-key': token, authorization: 'Basic c2stOng=' },
      { 'x-nexus-api-key': token, authorization: [`Bearer ${other}`, `Bearer ${other}`] },
    ]

    for (const headers of shown) expect((await send(gateway, { target, headers })).status).toBe(200)

    expect(broker.requests).toHaveLength(shown.length)
    for (const { headers } of broker.requests) {
      expect(headers).toMatchObject({ ...bearing(token), 'x-api-key': gateway.apiKey })
      expect(headers).not.toHaveProperty('x-nexus-api-key')
    }
  },
)

test('without a token, where none is asked for, none is made up', async () => {
  await using broker = await startScriptedBroker()
  await using gateway = await startGateway(broker)
  broker.answer('GET /providers', { body: [] })

  expect((await send(gateway, { target, headers: { authorization: 'Basic c2stOng=' } })).status).toBe(200)

  expect(broker.requests[0]?.headers).not.toHaveProperty('authorization')
})

test('[C1] of a token in the right form the Broker says whether it is one; its word is the answer', async () => {
  await using broker = await startScriptedBroker()
  await using gateway = await startGateway(broker, { env: { REQUIRE_BEARER: 'true' } })
  const headers = { ...bearing(makeAgentToken()), 'x-request-id': 'req-12345678' }
  broker.answer('GET /providers', { status: 401, body: { code: 'invalid_token', message: 'The token is not valid' } })

  const unknown = await send(gateway, { target, headers })

  expect(unknown.status).toBe(401)
  expect(unknown.json()).toMatchObject({ code: 'invalid_token' })
  expect(unknown.headers['www-authenticate']).toBe('Bearer realm="nexus-hub", error="invalid_token"')
})

test('a zone is passed on by name; what is none is refused before the Broker is asked', async () => {
  await using broker = await startScriptedBroker()
  await using gateway = await startGateway(broker)
  broker.answer('GET /providers', { body: [] })
  const token = makeAgentToken()

  await send(gateway, { target, headers: { ...bearing(token), 'x-nexus-zone-id': 'team-1' } })
  for (const zone of ['', 'Team', 'a b', 'eng,ops', 'x'.repeat(65), ['eng', 'eng'], 'eng; zone=ops']) {
    const answer = await send(gateway, { target, headers: { ...bearing(token), 'x-nexus-zone-id': zone } })
    expect(answer.status, JSON.stringify(zone)).toBe(400)
    expect(answer.json()).toMatchObject({
      code: 'invalid_request',
      message: expect.stringContaining('X-Nexus-Zone-ID'),
    })
  }

  expect(broker.requests).toHaveLength(1)
  expect(broker.requests[0]?.headers['x-nexus-zone-id']).toBe('team-1')
})

test.each([
  [200, 200, []],
  [403, 403, { code: 'insufficient_permission', message: 'No' }],
  [404, 404, { code: 'zone_not_found', message: 'None' }],
  [409, 409, { code: 'last_zone', message: 'Last' }],
  [429, 429, { code: 'rate_limited', message: 'Later' }],
  [500, 500, { code: 'internal', message: 'Sorry' }],
  [503, 503, { code: 'unavailable', message: 'Later' }],
  [200, 502, 'not what the contract says'],
  [403, 502, { code: 'forbidden', message: 'The Gateway may not' }],
] as const)('what the Broker says of a token stays inside (%i, answered as %i)', async (status, answered, body) => {
  await using broker = await startScriptedBroker()
  await using gateway = await startGateway(broker)
  const identity = describeIdentity({ owner: 'identity-canary', zone: 'identity-canary' })
  broker.answer('GET /providers', { status, body, headers: { 'x-nexus-identity': identity } })

  const answer = await send(gateway, { target, headers: bearing(makeAgentToken()) })

  expect(answer.status).toBe(answered)
  expect(JSON.stringify(answer.headers) + answer.text).not.toContain('identity-canary')
  expect(answer.headers).not.toHaveProperty('x-nexus-identity')
})

test('what a client says of itself is nobody’s word: it is neither passed on, nor recorded, nor counted by', async () => {
  await using broker = await startScriptedBroker()
  await using gateway = await startGateway(broker, {
    env: { NEXUS_RATE_LIMIT_ANONYMOUS: '1' },
    now: createManualClock().now,
  })
  broker.answer('GET /providers', { body: [] })
  const claim = { 'x-nexus-identity': describeIdentity({ tier: 'admin', owner: 'mallory', zone: 'ops' }) }

  expect((await send(gateway, { target, headers: claim })).status).toBe(200)
  expect((await send(gateway, { target, headers: claim })).status).toBe(429)

  expect(broker.requests).toHaveLength(1)
  expect(broker.requests[0]?.headers).not.toHaveProperty('x-nexus-identity')
  const record = await gateway.logs.waitFor((line) => line['event'] === 'agent.request')
  expect(record).toMatchObject({ token_hash: null, key_id: null, zone_id: null, subject_id: null })
  expect(gateway.logs.text()).not.toContain('mallory')
})
