import { randomBytes } from 'node:crypto'
import { randomToken } from '@nexus/crypto'
import { createLogger, createRedis } from '@nexus/service'
import { captureLogs, startRedis } from '@nexus/testing'
import { expect, test, vi } from 'vitest'
import { describeIdentity, makeAgentToken } from './agents.ts'
import { agentTokenBody, id, payloadBody, requestedBody } from './bodies.ts'
import { type Gateway, makeState, send, sendJson, startGateway } from './harness.ts'
import { type ScriptedBroker, startScriptedBroker } from './scripted-broker.ts'

test('[V5] a refresh token or client secret in the answer of a faulty Broker goes no further', async () => {
  await using broker = await startScriptedBroker()
  await using gateway = await startGateway(broker)
  const secrets = { refresh_token: 'master-canary', refreshToken: 'master-canary', client_secret: 'master-canary' }
  const extra = {
    instance_url: 'https://eu.example.com',
    ...secrets,
    deep: [{ team: 't', ...secrets, 'REFRESH-TOKEN-2': 'master-canary' }],
  }
  const faulty = {
    ...payloadBody,
    ...secrets,
    extra,
    strategy: { ...payloadBody.strategy, ...secrets },
    credentials: { ...payloadBody.credentials, ...secrets, extra },
  }
  broker.answer(`GET /connections/${id}/token`, { body: faulty })
  broker.answer(`POST /connections/${id}/refresh`, { body: faulty })

  const fetched = await send(gateway, { target: `/v1/token/${id}` })
  const refreshed = await send(gateway, { method: 'POST', target: `/v1/refresh/${id}` })

  const kept = { instance_url: 'https://eu.example.com', deep: [{ team: 't' }] }
  for (const answer of [fetched, refreshed]) {
    expect(answer.json()).toEqual({
      ...payloadBody,
      extra: kept,
      credentials: { ...payloadBody.credentials, extra: kept },
    })
  }
})

test('[V5] no other answer lets a field pass that its schema does not name', async () => {
  await using broker = await startScriptedBroker()
  await using gateway = await startGateway(broker)
  const secret = { client_secret: 'master-canary', refresh_token: 'master-canary' }
  const state = makeState(gateway, { purpose: 'request', connectionId: id })
  broker.answer('GET /providers', { body: [{ id, name: 'google', ...secret }] })
  broker.answer('POST /auth/consent-spec', { body: { ...requestedBody(state), ...secret } })
  broker.answer('GET /connections', { body: { connections: [], next_cursor: null, ...secret } })

  const answers = await Promise.all([
    send(gateway, { target: '/v1/providers' }),
    send(gateway, { target: '/v1/connections' }),
    sendJson(gateway, '/v1/request-connection', { user_id: 'u', provider_name: 'google' }),
  ])

  for (const answer of answers) {
    expect(answer.status).toBe(200)
    expect(answer.text).not.toContain('master-canary')
  }
})

type Secrets = ReturnType<typeof makeSecrets>

function makeSecrets(gateway: Gateway) {
  const canary = () => `canary${randomToken(24)}`
  return {
    access: canary(),
    ticket: canary(),
    code: canary(),
    cookie: canary(),
    master: canary(),
    typed: canary(),
    password: canary(),
    shown: makeAgentToken(),
    minted: makeAgentToken(),
    state: makeState(gateway, { purpose: 'request', connectionId: id }),
    forged: `${randomToken(40)}.${randomToken(32)}`,
  }
}

/** A Broker whose answers, faulty ones among them, hold them all. */
function scriptAnswers(broker: ScriptedBroker, { access, ticket, code, cookie, master, state, minted }: Secrets): void {
  const credentials = { ...payloadBody.credentials, access_token: access }
  const identity = { 'x-nexus-identity': describeIdentity({}) }
  broker.answer('POST /auth/consent-spec', {
    body: { ...requestedBody(state), authUrl: `https://n.example/auth/connect/${ticket}` },
  })
  broker.answer(`GET /connections/${id}/token`, {
    headers: identity,
    body: { ...payloadBody, access_token: access, credentials, refresh_token: master },
  })
  broker.answer(`POST /connections/${id}/refresh`, { body: `{"access_token":"${access}"` })
  broker.answer(`GET /auth/connect/${ticket}`, (response) => void response.socket?.destroy())
  broker.answer('GET /auth/callback', {
    status: 303,
    headers: { location: `/?code=${code}`, 'set-cookie': `nx-a=${cookie}` },
  })
  broker.answer('GET /auth/capture-schema', { status: 410, body: { code: 'link_expired', message: 'gone' } })
  broker.answer('POST /auth/capture-credential', (response) => void response.socket?.destroy())
  broker.answer('POST /agent-tokens', { status: 201, headers: identity, body: { ...agentTokenBody, token: minted } })
  broker.answer('GET /agent-tokens', { status: 401, body: { code: 'invalid_token', message: 'no' } })
}

/** Everything that is secret in every place where a client may put it. @returns the statuses */
async function showAll(gateway: Gateway, secrets: Secrets): Promise<readonly number[]> {
  const { access, ticket, code, cookie, typed, password, shown, state, forged } = secrets
  const headers = {
    authorization: `Bearer ${shown}`,
    'x-nexus-api-key': shown,
    'x-nexus-identity': shown,
    'user-agent': `agent ${shown}`,
    cookie: `nx-a=${cookie}`,
  }
  const asJson = { ...headers, 'content-type': 'application/json' }
  const answers = [
    await sendJson(gateway, '/v1/request-connection', { user_id: 'u', provider_name: 'google' }),
    await send(gateway, { target: `/v1/token/${id}`, headers }),
    await send(gateway, { method: 'POST', target: `/v1/refresh/${id}`, headers }),
    await send(gateway, { target: `/v1/token/${access}`, headers }),
    await send(gateway, { target: `/v1/providers?access_token=${access}&${access}=1`, headers }),
    await send(gateway, { target: `/auth/connect/${ticket}`, headers }),
    await send(gateway, { target: `/auth/callback?code=${code}&state=${state}`, headers }),
    await send(gateway, { target: `/auth/callback?code=${code}&state=${forged}`, headers }),
    await send(gateway, { target: `/auth/other/${ticket}?code=${code}`, headers }),
    await send(gateway, { target: '/metrics', headers: { 'x-api-key': shown } }),
    await send(gateway, { target: `/v1/capture-schema?state=${state}` }),
    await sendJson(gateway, '/v1/capture-credential', { state, credentials: { api_key: typed } }),
    await sendJson(gateway, '/auth/capture-credential', { state, credentials: { api_key: typed } }),
    await sendJson(gateway, '/v1/capture-credential', { state: forged, credentials: { api_key: typed } }),
    await sendJson(gateway, '/v1/capture-credential', { state, credentials: typed, [typed]: typed }),
    await send(gateway, { method: 'POST', target: '/v1/hub/tokens', headers: asJson, body: '{"name":"bot"}' }),
    await send(gateway, { method: 'POST', target: '/v1/hub/tokens', headers: asJson, body: `{"name":"${shown}\n"}` }),
    await send(gateway, { target: '/v1/hub/tokens', headers }),
    await send(gateway, { target: '/v1/hub/tokens', headers: { 'x-nexus-api-key': password } }),
    await send(gateway, { target: '/v1/hub/status', headers: { ...headers, 'x-nexus-zone-id': `${password}!` } }),
    await send(gateway, { target: `/v1/${shown}`, headers }),
  ]
  return answers.map(({ status }) => status)
}

const statuses = [
  [200, 200, 502, 400, 400, 502, 303, 400, 404, 401],
  [410, 502, 502, 400, 400, 201, 400, 401, 401, 400, 404],
].flat()

test('[L1] [L2] at level trace neither logs nor metrics nor Redis hold a credential, a token, a state, a ticket or a code', async () => {
  await using redisServer = await startRedis()
  await using broker = await startScriptedBroker()
  const redisLogs = captureLogs()
  const redis = createRedis(
    redisServer.url,
    createLogger({ level: 'trace', service: 'gateway', destination: redisLogs }),
  )
  if (redis === undefined) throw new Error('there is a URL')
  await expect.poll(() => redis.ping(), { timeout: 10_000 }).toBe(true)
  const published: string[] = []
  const listener = redis.client.duplicate()
  await vi.waitFor(() => listener.psubscribe('*'), 10_000)
  listener.on('pmessage', (_pattern, _channel, message: string) => void published.push(message))
  const env = { NEXUS_RATE_LIMIT_ANONYMOUS: '1000', NEXUS_RATE_LIMIT_AUTHENTICATED: '1000' }
  await using gateway = await startGateway(broker, { redis, env })
  const secrets = makeSecrets(gateway)
  scriptAnswers(broker, secrets)

  expect(await showAll(gateway, secrets)).toEqual(statuses)

  const metrics = await send(gateway, { target: '/metrics', headers: { 'x-api-key': gateway.apiKey } })
  // requests are counted in memory for as long as Redis is slow to answer
  const dump = await vi.waitFor(async () => {
    await showAll(gateway, secrets)
    const held = await redisServer.dump()
    for (const limit of ['auth', 'anonymous', 'authenticated']) expect(held).toContain(`nexus:gateway:${limit}:`)
    return held
  }, 20_000)
  expect(gateway.logs.lines().length).toBeGreaterThan(10)
  expect(published.length).toBeGreaterThan(3)
  const emitted = gateway.logs.text() + redisLogs.text() + metrics.text + dump + published.join('\n')
  for (const [what, secret] of Object.entries({ ...secrets, key: gateway.apiKey })) {
    // of a token the part before its last is no secret
    expect(emitted.includes(secret.startsWith('sk-') ? secret.slice(-43) : secret), what).toBe(false)
  }
  expect(emitted).not.toContain('127.0.0.1:6379')
  listener.disconnect()
  await redis.close()
})

test('[L3] whatever ids are thrown at the routes, the metrics keep their labels', async () => {
  await using broker = await startScriptedBroker()
  await using gateway = await startGateway(broker)
  const readRoutes = async () => {
    const { text } = await send(gateway, { target: '/metrics', headers: { 'x-api-key': gateway.apiKey } })
    return new Set([...text.matchAll(/route="([^"]*)"/g)].map(([, route]) => route))
  }
  const throwAtRoutes = async () => {
    const word = randomBytes(6).toString('hex')
    const targets = [
      `/v1/token/${word}`,
      `/${word}`,
      `/auth/connect/${word}!`,
      `/auth/assets/.${word}`,
      `/v1/providers?${word}=1`,
    ]
    for (const target of targets) await send(gateway, { target })
    await send(gateway, { target: '/v1/providers', method: 'PROPFIND' })
  }

  await throwAtRoutes()
  const before = await readRoutes()
  for (let round = 0; round < 20; round++) await throwAtRoutes()

  const after = await readRoutes()
  expect(after).toEqual(new Set([...before, '/metrics']))
  expect([...after]).toEqual(expect.arrayContaining(['/v1/token/:id', '/auth/connect/:ticket', 'unmatched']))
})
