import { expect, test } from 'vitest'
import { bearing, describeIdentity, keyId, makeAgentToken } from './agents.ts'
import { agentTokenBody as agentToken } from './bodies.ts'
import { send, startGateway, type Sent } from './harness.ts'
import { startScriptedBroker, type ScriptedAnswer } from './scripted-broker.ts'

const minted = makeAgentToken('eng')
const zone = { name: 'eng', created_at: '2026-11-22T09:00:00.000Z', connections: 0, tokens: 1 }
const status = {
  postgres: 'ok',
  redis: 'n/a',
  tokens: { active: 1, revoked: 0 },
  connections: { active: 2 },
  zones: 1,
  qps: 0.5,
}

type Passed = {
  readonly sent: Sent
  readonly route: string
  readonly target: string
  readonly body?: unknown
  readonly answer: ScriptedAnswer
}

const tokens = '/v1/hub/tokens'
const zones = '/v1/hub/zones'

const passed: readonly Passed[] = [
  {
    sent: { method: 'POST', target: tokens, body: '{"name":"bot","zones":[{"zone":"eng","permissions":"wr"}]}' },
    route: 'POST /agent-tokens',
    target: '/agent-tokens',
    body: { name: 'bot', zones: [{ zone: 'eng', permissions: 'rw' }], is_admin: false },
    answer: { status: 201, body: { ...agentToken, token: minted } },
  },
  {
    sent: { target: `${tokens}?match=b%26c&limit=2` },
    route: 'GET /agent-tokens',
    target: '/agent-tokens?show_revoked=false&match=b%26c&limit=2',
    answer: { body: { tokens: [agentToken], next_cursor: null } },
  },
  {
    sent: { target: `${tokens}/${keyId}` },
    route: `GET /agent-tokens/${keyId}`,
    target: `/agent-tokens/${keyId}`,
    answer: { body: agentToken },
  },
  {
    sent: { method: 'DELETE', target: `${tokens}/${keyId}` },
    route: `DELETE /agent-tokens/${keyId}`,
    target: `/agent-tokens/${keyId}`,
    answer: { body: { ...agentToken, revoked_at: '2026-11-22T09:00:00.000Z' } },
  },
  {
    sent: { method: 'PUT', target: `${tokens}/${keyId}/zones/ops`, body: '{"permissions":"x"}' },
    route: `PUT /agent-tokens/${keyId}/zones/ops`,
    target: `/agent-tokens/${keyId}/zones/ops`,
    body: { permissions: 'rwx' },
    answer: { body: agentToken },
  },
  {
    sent: { method: 'DELETE', target: `${tokens}/${keyId}/zones/ops` },
    route: `DELETE /agent-tokens/${keyId}/zones/ops`,
    target: `/agent-tokens/${keyId}/zones/ops`,
    answer: { body: agentToken },
  },
  {
    sent: { target: zones },
    route: 'GET /zones',
    target: '/zones?limit=50',
    answer: { body: { zones: [zone], next_cursor: null } },
  },
  {
    sent: { method: 'POST', target: zones, body: '{"name":"eng"}' },
    route: 'POST /zones',
    target: '/zones',
    body: { name: 'eng' },
    answer: { status: 201, body: zone },
  },
  {
    sent: { method: 'DELETE', target: `${zones}/eng?force=true` },
    route: 'DELETE /zones/eng',
    target: '/zones/eng?force=true',
    answer: { body: { name: 'eng', connections: 0, tokens_revoked: 1 } },
  },
  { sent: { target: '/v1/hub/status' }, route: 'GET /hub/status', target: '/hub/status', answer: { body: status } },
]

test.each(passed)('$sent.method $sent.target is the Broker’s to answer', async ({ sent, route, ...expected }) => {
  await using broker = await startScriptedBroker()
  await using gateway = await startGateway(broker, { env: { REQUIRE_BEARER: 'true' } })
  const token = makeAgentToken()
  broker.answer(route, { ...expected.answer, headers: { 'x-nexus-identity': describeIdentity({ tier: 'admin' }) } })
  const json = sent.body === undefined ? {} : { 'content-type': 'application/json' }

  const answer = await send(gateway, { ...sent, headers: { ...bearing(token), ...json } })

  expect(answer.status).toBe(expected.answer.status ?? 200)
  expect(answer.json()).toEqual(expected.answer.body)
  expect(answer.headers).toMatchObject({ 'cache-control': 'no-store' })
  expect(answer.headers).not.toHaveProperty('x-nexus-identity')
  expect(broker.requests).toMatchObject([{ target: expected.target, headers: bearing(token) }])
  expect(broker.requests[0]!.body).toBe(expected.body === undefined ? '' : JSON.stringify(expected.body))
  await gateway.logs.waitFor((line) => line['event'] === 'agent.request')
  for (const secret of [token, minted]) expect(gateway.logs.text()).not.toContain(secret)
})

test.each([
  [403, { code: 'insufficient_permission', message: 'No', details: { needed: 'x' } }],
  [404, { code: 'token_not_found', message: 'None' }],
  [409, { code: 'last_zone', message: 'Last' }],
] as const)('%i %o of the Broker is the answer', async (status_, body) => {
  await using broker = await startScriptedBroker()
  await using gateway = await startGateway(broker)
  broker.answer(`DELETE /agent-tokens/${keyId}/zones/ops`, { status: status_, body })

  const answer = await send(gateway, { method: 'DELETE', target: `${tokens}/${keyId}/zones/ops` })

  expect(answer.status).toBe(status_)
  expect(answer.json()).toMatchObject(body)
})

test('[C5] what is malformed never reaches the Broker', async () => {
  await using broker = await startScriptedBroker()
  await using gateway = await startGateway(broker)
  const faulty: readonly Sent[] = [
    { target: `${tokens}/..%2f..%2fproviders` },
    { target: `${tokens}?all=1` },
    { method: 'PUT', target: `${tokens}/${keyId}/zones/A%2fb`, body: '{"permissions":"r"}' },
    { method: 'PUT', target: `${tokens}/${keyId}/zones/eng`, body: '{"permissions":"rr"}' },
    { method: 'POST', target: tokens, body: '{"name":"bot","is_root":true}' },
    { method: 'DELETE', target: `${zones}/eng?force=yes` },
  ]
  for (const sent of faulty) {
    const headers = sent.body === undefined ? {} : { 'content-type': 'application/json' }
    expect((await send(gateway, { ...sent, headers })).status, sent.target).toBe(400)
  }
  expect(broker.requests).toEqual([])
})

test('[C6] nobody holds up the others by permissions, least of all with a token that is none', async () => {
  await using broker = await startScriptedBroker()
  await using gateway = await startGateway(broker)
  // as many different characters as there are: whoever looks for one that stands twice compares them all
  const permissions = String.fromCharCode(...Array.from({ length: 0x5000 }, (_, index) => 0x3100 + index))
  const started = performance.now()
  const answer = await send(gateway, {
    method: 'PUT',
    target: `${tokens}/${keyId}/zones/ops`,
    headers: { ...bearing(makeAgentToken()), 'content-type': 'application/json' },
    body: JSON.stringify({ permissions }),
  })
  expect(answer.status).toBe(400)
  expect(performance.now() - started).toBeLessThan(1_000)
})
