import { randomUUID } from 'node:crypto'
import { expect } from 'vitest'
import { bearing, makeAgentToken } from '../agents.ts'
import { type Gateway, send, startGateway } from '../harness.ts'
import { type Nexus, startNexus, test as base } from './nexus.ts'

/**
 * Who may do what, by hand and apart from the code: a route that is not here fails the test. `connection`: in the zone of
 * the connection. `admin`: x is not enough.
 */
const rules = {
  'GET /v1/providers': 'catalogue',
  'GET /v1/providers/metadata': 'catalogue',
  'POST /v1/request-connection': 'w',
  'GET /v1/connections': 'r',
  'GET /v1/connections/:id': 'connection r',
  'GET /v1/check-connection/:id': 'connection r',
  'GET /v1/token/:id': 'connection r',
  'POST /v1/refresh/:id': 'connection rw',
  'POST /v1/reconnect/:id': 'connection w',
  'POST /v1/complete-connection': 'connection c',
  'DELETE /v1/connections/:id': 'connection w',
  'GET /v1/hub/tokens': 'hub',
  'POST /v1/hub/tokens': 'hub zone',
  'GET /v1/hub/tokens/:key_id': 'hub token',
  'DELETE /v1/hub/tokens/:key_id': 'hub token',
  'PUT /v1/hub/tokens/:key_id/zones/:zone': 'hub token',
  'DELETE /v1/hub/tokens/:key_id/zones/:zone': 'hub token',
  'GET /v1/hub/zones': 'hub',
  'POST /v1/hub/zones': 'hub admin',
  'DELETE /v1/hub/zones/:zone': 'hub admin',
  'GET /v1/hub/status': 'hub',
  'GET /metrics': 'operations',
  'GET /openapi.json': 'operations',
  'GET /health': 'public',
  'GET /health/ready': 'public',
  'GET /v1/capture-schema': 'public',
  'POST /v1/capture-credential': 'public',
  'GET /auth/connect/:ticket': 'public',
  'POST /auth/connect/:ticket': 'public',
  'GET /auth/callback': 'public',
  'POST /auth/callback': 'public',
  'GET /auth/callback/:provider': 'public',
  'POST /auth/callback/:provider': 'public',
  'GET /auth/capture-schema': 'public',
  'POST /auth/capture-credential': 'public',
  'GET /auth/assets/*': 'public',
} as const

type Route = keyof typeof rules
type Rule = (typeof rules)[Route]

/** Gateways in this process, so that their routers can be read, before a Broker as it is deployed. */
const test = base.extend('scene', { scope: 'file' }, async ({ database }, { onCleanup }) => {
  const nexus = await startNexus(database, { REQUIRE_BEARER: 'true', LOG_LEVEL: 'error' })
  onCleanup(() => nexus[Symbol.asyncDispose]())
  await nexus.registerProfile({ name: 'payments', auth_type: 'api_key' })
  for (const name of ['other', 'spare']) await nexus.createZone(name)
  const spare = await nexus.mint({ zones: [{ zone: 'root', permissions: 'r' }] })
  const tokens = await mintAll(nexus, database.pool)
  const requested = await nexus.callAs<{ connection_id: string }>(bearing(tokens.w), 'POST', '/v1/request-connection', {
    user_id: 'u',
    provider_name: 'payments',
  })
  return { nexus, tokens, id: requested.body.connection_id, keyId: spare.key_id }
})

type Credential = 'r' | 'w' | 'rw' | 'x' | 'c' | 'admin' | 'other' | 'unknown' | 'expired' | 'revoked'

async function mintAll(
  nexus: Nexus,
  pool: { readonly query: (text: string, values: readonly unknown[]) => Promise<unknown> },
): Promise<Readonly<Record<Credential, string>>> {
  const everything = await nexus.mint({ zones: [{ zone: 'root', permissions: 'rwxc' }], expires_in: 3600 })
  await pool.query("update agent_tokens set expires_at = now() - interval '1 s' where id = $1", [everything.key_id])
  const revoked = await nexus.mint({ zones: [{ zone: 'root', permissions: 'rwxc' }] })
  const admin = (await nexus.mint({ is_admin: true })).token
  const answer = await nexus.callAs(bearing(admin), 'DELETE', `/v1/hub/tokens/${revoked.key_id}`)
  expect(answer.status).toBe(200)
  return {
    r: await nexus.mintToken('r'),
    w: await nexus.mintToken('w'),
    rw: await nexus.mintToken('rw'),
    x: await nexus.mintToken('x'),
    c: await nexus.mintToken('c'),
    admin,
    other: (await nexus.mint({ zones: [{ zone: 'other', permissions: 'rwxc' }] })).token,
    unknown: makeAgentToken(),
    expired: everything.token,
    revoked: revoked.token,
  }
}

const refusals = new Set([
  'missing_api_key',
  'invalid_api_key',
  'missing_bearer_token',
  'invalid_token',
  'forbidden',
  'insufficient_permission',
])

/** What a good token finds, by what it holds in root; `in`: it was not refused, and what it asked for is there. */
function expected(rule: Rule, holds: string, isAdmin = false): string {
  const [scope = '', what = ''] = rule.split(' ')
  const has = (permission: string) => holds.includes(permission) || (isAdmin && permission !== 'c')
  if (scope === 'catalogue') return 'in'
  if (scope === 'hub') return has('x') && (what !== 'admin' || isAdmin) ? 'in' : 'insufficient_permission'
  return (scope === 'connection' ? what : scope).split('').every(has) ? 'in' : 'insufficient_permission'
}

/** The same for a token that may do everything, in another zone. */
function expectedElsewhere(rule: Rule): string {
  if (rule.startsWith('connection')) return 'connection_not_found'
  if (rule === 'hub token') return 'token_not_found'
  return rule === 'hub zone' ? 'zone_not_found' : expected(rule, 'rwxc')
}

/** Complete enough to come as far as who may do it. */
const bodies: Partial<Record<Route, (id: string) => unknown>> = {
  'POST /v1/request-connection': () => ({ user_id: randomUUID(), provider_name: 'payments' }),
  'POST /v1/reconnect/:id': () => ({}),
  'POST /v1/complete-connection': (id) => ({
    connection_id: id,
    completion_code: 'x'.repeat(43),
    user_id: 'u',
  }),
  'POST /v1/hub/tokens': () => ({ name: randomUUID(), zones: [{ zone: 'root', permissions: 'r' }] }),
  'PUT /v1/hub/tokens/:key_id/zones/:zone': () => ({ permissions: 'r' }),
  'POST /v1/hub/zones': () => ({ name: randomUUID() }),
}

type Tokens = Readonly<Record<Credential, string>>
type Scene = { readonly nexus: Nexus; readonly tokens: Tokens; readonly id: string; readonly keyId: string }

type Shown = readonly [who: string, headers: Readonly<Record<string, string>>, wanted: string]

/** @param without - the answer to an agent that shows nothing */
function listShown(rule: Rule, tokens: Tokens, apiKey: string, without: string): readonly Shown[] {
  if (rule === 'public') return showToAll(tokens, apiKey)
  return rule === 'operations' ? showToOperations(tokens, apiKey) : showToAgents(rule, tokens, apiKey, without)
}

function showToAgents(rule: Rule, tokens: Tokens, apiKey: string, without: string): readonly Shown[] {
  const malformed = ['', 'x', `${tokens.rw}x`, tokens.rw.slice(1), tokens.rw.toUpperCase(), apiKey]
  const good: readonly Shown[] = [
    ...(['r', 'w', 'rw', 'c'] as const).map((kind) => [kind, bearing(tokens[kind]), expected(rule, kind)] as const),
    ['x', bearing(tokens.x), expected(rule, 'rwx')],
    ['admin', bearing(tokens.admin), expected(rule, '', true)],
    ['another zone', bearing(tokens.other), expectedElsewhere(rule)],
  ]
  const shown: readonly Shown[] = [
    ...good,
    ...malformed.map((text) => [`malformed: ${text}`, bearing(text), 'invalid_token'] as const),
    ...(['unknown', 'expired', 'revoked'] as const).map(
      (kind) => [kind, bearing(tokens[kind]), 'invalid_token'] as const,
    ),
  ]
  // the same in the other header, which counts alone whatever the first one says
  const inOtherHeader = shown.map(([who, { authorization = '' }, wanted]): Shown => {
    const headers = { 'x-nexus-api-key': authorization.slice('Bearer '.length), ...bearing(tokens.admin) }
    return [`${who}, as X-Nexus-API-Key`, headers, wanted]
  })
  return [
    ['no credential', {}, without],
    ['another scheme', { authorization: `Basic ${tokens.rw}` }, without],
    ["the Gateway's key alone", { 'x-api-key': apiKey }, without],
    ["the Gateway's key, and a claim", { 'x-api-key': apiKey, 'x-nexus-identity': claim }, without],
    ...shown,
    ...inOtherHeader,
  ]
}

const claim = `key_id=${randomUUID()}; tier=admin; owner=root; zone=root`

/** Agents' tokens open nothing here, and the key opens nothing else. */
function showToOperations(tokens: Tokens, apiKey: string): readonly Shown[] {
  return [
    ['no credential', {}, 'missing_api_key'],
    ['another scheme', { authorization: `Basic ${apiKey}` }, 'missing_api_key'],
    ['a token in its own header', { 'x-nexus-api-key': tokens.admin }, 'missing_api_key'],
    ['a claim', { 'x-nexus-identity': claim }, 'missing_api_key'],
    ...Object.entries(tokens).map(([kind, token]) => [kind, bearing(token), 'invalid_api_key'] as const),
    ['a token for a key', { 'x-api-key': tokens.admin }, 'invalid_api_key'],
    ["the Gateway's key", { 'x-api-key': apiKey }, 'in'],
  ]
}

function showToAll(tokens: Tokens, apiKey: string): readonly Shown[] {
  const shown = ['x', apiKey, ...Object.values(tokens)].map((text) => [text, bearing(text), 'in'] as const)
  return [['no credential', {}, 'in'], ['the key', { 'x-api-key': apiKey }, 'in'], ...shown]
}

/** What `in` stands for, or the code of the refusal; an answer that is neither stands for itself. */
async function ask(gateway: Gateway, route: Route, path: string, headers: Shown[1], id: string): Promise<string> {
  const [method = ''] = route.split(' ')
  const body = bodies[route]?.(id)
  const answer = await send(gateway, {
    method,
    target: path,
    headers: {
      accept: 'application/json',
      ...(body !== undefined && { 'content-type': 'application/json' }),
      ...headers,
    },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  })
  expect(answer.headers).not.toHaveProperty('x-nexus-identity')
  const code = /"code":"([a-z_]+)"/.exec(answer.text)?.[1] ?? ''
  const isOutside =
    /^(connection|token)_not_found$/.test(code) || (rules[route] === 'hub zone' && code === 'zone_not_found')
  if (refusals.has(code) || isOutside) return code
  return answer.status < 500 && code !== 'route_not_found' ? 'in' : `${answer.status} ${code}`
}

/** @returns what is not as it should be, a line each */
async function walk(gateway: Gateway, { id, keyId, tokens }: Scene, without: (rule: Rule) => string) {
  expect([...gateway.app.routeAccess.keys()].toSorted()).toEqual(Object.keys(rules).toSorted())
  const faults: string[] = []
  for (const route of Object.keys(rules) as Route[]) {
    const rule = rules[route]
    const path = (route.split(' ')[1] ?? '')
      .replace(':id', id)
      .replace(':key_id', keyId)
      .replace(':zone', rule === 'hub admin' ? 'spare' : 'root')
      .replace(/:\w+/, 'nobody')
      .replace('*', 'page.css')
    const shown = listShown(rule, tokens, gateway.apiKey, without(rule))
    const got = await Promise.all(shown.map(([, headers]) => ask(gateway, route, path, headers, id)))
    for (const [index, [who, , wanted]] of shown.entries()) {
      if (got[index] !== wanted) faults.push(`${route} (${rule}), ${who}: ${got[index]}, not ${wanted}`)
    }
  }
  return faults
}

test.for(['true', 'false'])(
  '[C2] [C4] every route × every credential, by the router itself (REQUIRE_BEARER=%s at the Gateway)',
  { timeout: 120_000 },
  async (REQUIRE_BEARER, { scene }) => {
    await using gateway = await startGateway(scene.nexus.broker, { env: { ...envOf(scene.nexus), REQUIRE_BEARER } })

    // whether tokens are asked for is the Broker's rule: a Gateway that asks for none opens nothing
    expect(await walk(gateway, scene, () => 'missing_bearer_token')).toEqual([])
  },
)

test(
  'where nobody asks for tokens, whoever shows none acts in root with rw, and a token that is shown is judged',
  { timeout: 120_000 },
  async ({ scene, database }) => {
    await using open = await startNexus(database, { REQUIRE_BEARER: 'false', LOG_LEVEL: 'error' }, scene.nexus.keys)
    await using gateway = await startGateway(open.broker, { env: envOf(open) })

    expect(await walk(gateway, scene, (rule) => expected(rule, 'rw'))).toEqual([])
  },
)

function envOf({ keys }: Nexus) {
  return { BROKER_API_KEY: keys.apiKey, STATE_KEY: keys.stateKey, AUTH_RATE_LIMIT_PER_MINUTE: '0' }
}
