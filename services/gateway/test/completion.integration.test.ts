import { setTimeout as delay } from 'node:timers/promises'
import { randomToken } from '@nexus/crypto'
import { expect, test } from 'vitest'
import { bearing, describeIdentity, makeAgentToken } from './agents.ts'
import { id } from './bodies.ts'
import { type Gateway, send, startGateway } from './harness.ts'
import { startScriptedBroker } from './scripted-broker.ts'

const target = '/v1/complete-connection'
const route = `POST /connections/${id}/complete`
const completed = { connection_id: id, status: 'active', provider: 'google' }
const completionCode = 'completion-code-canary-'.padEnd(43, 'x')
const wanted = { connection_id: id, completion_code: completionCode, user_id: 'u-1' }
const appToken = makeAgentToken('root', 'app')

function sendCompletion(
  gateway: Gateway,
  headers: Readonly<Record<string, string | string[]>> = bearing(appToken),
  body: unknown = wanted,
) {
  return send(gateway, {
    method: 'POST',
    target,
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify(body),
  })
}

test('complete-connection hands the app’s own token and word to the Broker, and its answer back', async () => {
  await using broker = await startScriptedBroker()
  await using gateway = await startGateway(broker, { env: { REQUIRE_BEARER: 'true' } })
  broker.answer(route, {
    body: { ...completed, access_token: 'access-token-canary' },
    headers: { 'x-nexus-identity': describeIdentity({}) },
  })

  const answer = await sendCompletion(gateway)

  expect(answer).toMatchObject({ status: 200, headers: { 'cache-control': 'no-store' } })
  expect(answer.headers).not.toHaveProperty('x-nexus-identity')
  expect(answer.json()).toEqual(completed)
  expect(broker.requests).toHaveLength(1)
  expect(broker.requests[0]?.headers).toMatchObject({ 'x-api-key': gateway.apiKey, ...bearing(appToken) })
  expect(JSON.parse(broker.requests[0]?.body ?? '')).toEqual({ completion_code: completionCode, workspace_id: 'u-1' })
  for (const secret of [completionCode, appToken, 'access-token-canary']) {
    expect(gateway.logs.text()).not.toContain(secret)
  }
})

test('[C1] the key of an operator says nothing here: it is not passed on', async () => {
  await using broker = await startScriptedBroker()
  await using gateway = await startGateway(broker, { env: { REQUIRE_BEARER: 'true' } })

  const answer = await sendCompletion(gateway, { 'x-api-key': randomToken(32) })

  expect(answer.json()).toMatchObject({ code: 'missing_bearer_token' })
  expect(broker.requests).toEqual([])
})

test.each([
  [403, 'address_not_allowed'],
  [404, 'route_not_found'],
  [401, 'invalid_api_key'],
  [403, 'forbidden'],
] as const)('%i %s concerns the Gateway', async (status, code) => {
  await using broker = await startScriptedBroker()
  await using gateway = await startGateway(broker)
  broker.answer(route, { status, body: { code, message: 'no', request_id: 'x' } })

  expect((await sendCompletion(gateway)).json()).toMatchObject({ code: 'broker_unavailable' })
})

test.each([
  [401, { code: 'invalid_token', message: 'No' }],
  [403, { code: 'insufficient_permission', message: 'No', details: { needed: 'c' } }],
  [409, { code: 'completion_refused', message: 'Not completed' }],
  [409, { code: 'already_completed', message: 'Done', details: { status: 'active' } }],
  [409, { code: 'account_mismatch', message: 'Another account' }],
  [410, { code: 'link_expired', message: 'Over' }],
  [502, { code: 'provider_rejected', message: 'No' }],
  [503, { code: 'unavailable', message: 'Later' }],
] as const)('%i %o of the Broker is the answer', async (status, body) => {
  await using broker = await startScriptedBroker()
  await using gateway = await startGateway(broker)
  broker.answer(route, { status, body })

  const answer = await sendCompletion(gateway)

  expect(answer.status).toBe(status)
  expect(answer.json()).toMatchObject(body)
})

test('an answer about another connection is not handed on', async () => {
  await using broker = await startScriptedBroker()
  await using gateway = await startGateway(broker)
  broker.answer(route, { body: { ...completed, connection_id: '0198a1b2-0000-7000-8000-00000000000f' } })

  expect((await sendCompletion(gateway)).json()).toMatchObject({ code: 'broker_unavailable' })
})

test('[C5] what is no completion is refused by the name of its field', async () => {
  await using broker = await startScriptedBroker()
  await using gateway = await startGateway(broker)
  for (const [field, value] of [
    ['connection_id', '../providers'],
    ['completion_code', 'short'],
    ['completion_code', undefined],
    ['user_id', ''],
    ['user_id', ['u-1']],
    ['workspace_id', 'u-1'],
  ] as const) {
    const answer = await sendCompletion(gateway, undefined, { ...wanted, [field]: value })
    expect(answer.status, field).toBe(400)
    expect(answer.json()).toMatchObject({ message: expect.stringContaining(field) })
  }
  expect(broker.requests).toEqual([])
})

test('a completion is waited for beyond the patience of other calls, is never sent twice, and ends with its own', async () => {
  await using broker = await startScriptedBroker()
  await using gateway = await startGateway(broker, { deadlines: { usual: 50, long: 50, longest: 2_000 } })
  let calls = 0
  broker.answer(route, async (response) => {
    calls += 1
    if (calls === 1) await delay(150)
    else if (calls === 2) return void response.socket?.resetAndDestroy()
    else return
    response.setHeader('content-type', 'application/json')
    response.end(JSON.stringify(completed))
  })

  expect((await sendCompletion(gateway)).status).toBe(200)
  expect((await sendCompletion(gateway)).json()).toMatchObject({ code: 'broker_unavailable' })
  expect(calls, 'a broken call is not repeated').toBe(2)
  expect((await sendCompletion(gateway)).json()).toMatchObject({ code: 'broker_unavailable' })
})
