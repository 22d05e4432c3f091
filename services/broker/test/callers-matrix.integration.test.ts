import { randomBytes, randomUUID } from 'node:crypto'
import { expect } from 'vitest'
import { openPlainConnection } from './connection-scene.ts'
import { test as base } from './handshake-scene.ts'
import { type TestBroker, mintToken, startTestBroker } from './harness.ts'
import { collectRoutes, listRoutes } from './route-list.ts'

/**
 * Who may do what, by hand and apart from the code: a route that is not here fails the test. `connection`: in the zone of
 * the connection. `admin`: x is not enough.
 */
const rules = {
  'GET /providers': 'catalogue',
  'GET /providers/metadata': 'catalogue',
  'GET /connections': 'r',
  'GET /connections/:id': 'connection r',
  'GET /connections/:id/token': 'connection r',
  'POST /connections/:id/refresh': 'connection rw',
  'POST /connections/:id/reconnect': 'connection w',
  'POST /connections/:id/complete': 'connection c',
  'DELETE /connections/:id': 'connection w',
  'POST /auth/consent-spec': 'w',
  'GET /agent-tokens': 'hub',
  'POST /agent-tokens': 'hub zone',
  'GET /agent-tokens/:key_id': 'hub token',
  'DELETE /agent-tokens/:key_id': 'hub token',
  'PUT /agent-tokens/:key_id/zones/:zone': 'hub token',
  'DELETE /agent-tokens/:key_id/zones/:zone': 'hub token',
  'GET /zones': 'hub',
  'POST /zones': 'hub admin',
  'DELETE /zones/:zone': 'hub admin',
  'GET /hub/status': 'hub',
  'GET /providers/:id': 'operator',
  'GET /providers/by-name/:name': 'operator',
  'POST /providers': 'operator',
  'POST /providers/preview': 'operator',
  'POST /providers/:id/client-secret-matches': 'operator',
  'PUT /providers/:id': 'operator',
  'PATCH /providers/:id': 'operator',
  'PUT /providers/:id/aliases/:alias': 'operator',
  'DELETE /providers/:id/aliases/:alias': 'operator',
  'DELETE /providers/:id': 'operator',
  'DELETE /providers/by-name/:name': 'operator',
  'GET /audit': 'operator',
  'GET /metrics': 'any key',
  'GET /openapi.json': 'any key',
} as const

type Rule = (typeof rules)[keyof typeof rules]

const test = base.extend('scene', { scope: 'file' }, async ({ database }, { onCleanup }) => {
  const env = { AUTH_RATE_LIMIT_PER_MINUTE: '0' }
  await using open = await startTestBroker(database, { env })
  const { id } = await openPlainConnection(open)
  const started = await collectRoutes(() => startTestBroker(database, { env: { ...env, REQUIRE_BEARER: 'true' } }))
  const broker = started.result
  onCleanup(() => broker[Symbol.asyncDispose]())
  const list = listRoutes(started.routes).filter(({ access }) => access !== 'public')
  expect((await broker.post('/zones', { name: 'other' })).status).toBe(201)
  expect((await broker.post('/zones', { name: 'spare' })).status).toBe(201)
  await mintToken(broker, { name: 'spare', zones: [{ zone: 'root', permissions: 'r' }] })
  const found = await broker.get<{ tokens: { key_id: string }[] }>('/agent-tokens?match=spare')
  return {
    broker,
    list,
    id,
    keyId: found.body.tokens[0]?.key_id ?? '',
    tokens: await mintAll(broker, database.pool),
  }
})

type Credential = 'r' | 'w' | 'rw' | 'x' | 'c' | 'admin' | 'other' | 'unknown' | 'expired' | 'revoked'

async function mintAll(
  broker: TestBroker,
  pool: { readonly query: (text: string, values: readonly unknown[]) => Promise<unknown> },
): Promise<Readonly<Record<Credential, string>>> {
  const inRoot = (permissions: string) => mintToken(broker, { zones: [{ zone: 'root', permissions }] })
  const [expired, revoked] = [await inRoot('rwxc'), await inRoot('rwxc')]
  const end = (column: string, token: string) =>
    pool.query(`update agent_tokens set ${column} = now() - interval '1 s' where lookup = $1`, [token.slice(-52, -44)])
  await end('expires_at', expired)
  await end('revoked_at', revoked)
  return {
    r: await inRoot('r'),
    w: await inRoot('w'),
    rw: await inRoot('rw'),
    x: await inRoot('x'),
    c: await inRoot('c'),
    admin: await mintToken(broker, { is_admin: true }),
    other: await mintToken(broker, { zones: [{ zone: 'other', permissions: 'rwxc' }] }),
    unknown: `sk-root_nobody_${randomBytes(4).toString('hex')}_${randomBytes(32).toString('base64url')}`,
    expired,
    revoked,
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
function expected(rule: Rule, holds: string, isAdmin: boolean): string {
  const [scope = '', what = ''] = rule.split(' ')
  const has = (permission: string) => holds.includes(permission) || (isAdmin && permission !== 'c')
  if (scope === 'operator') return 'forbidden'
  if (scope === 'any' || scope === 'catalogue') return 'in'
  if (scope === 'hub') return has('x') && (what !== 'admin' || isAdmin) ? 'in' : 'insufficient_permission'
  const needed = scope === 'connection' ? what : scope
  return needed.split('').every(has) ? 'in' : 'insufficient_permission'
}

/** The same for a token that may do everything, in another zone. */
function expectedElsewhere(rule: Rule): string {
  if (rule.startsWith('connection')) return 'connection_not_found'
  if (rule === 'hub token') return 'token_not_found'
  return rule === 'hub zone' ? 'zone_not_found' : expected(rule, 'rwxc', false)
}

/** Complete enough to come as far as who may do it. */
const bodies: Readonly<Record<string, () => unknown>> = {
  'POST /agent-tokens': () => ({ name: randomUUID(), zones: [{ zone: 'root', permissions: 'r' }] }),
  'PUT /agent-tokens/:key_id/zones/:zone': () => ({ permissions: 'r' }),
  'POST /zones': () => ({ name: randomUUID() }),
  'POST /connections/:id/complete': () => ({ completion_code: 'x'.repeat(43), workspace_id: 'user-1' }),
  'POST /connections/:id/reconnect': () => ({}),
}

test('[C2] [C4] every route × every credential, by the router itself', { timeout: 60_000 }, async ({ scene }) => {
  const { broker, list, id, keyId, tokens } = scene
  const { API_KEY, ADMIN_API_KEY } = broker.keys
  const named = list.map(({ method, pattern }) => ({ method, pattern, name: `${method} ${pattern}` }))
  expect(named.map(({ name }) => name).toSorted()).toEqual(Object.keys(rules).toSorted())

  const bearer = (token: string) => ({ authorization: `Bearer ${token}` })
  const faults: string[] = []
  for (const { method, pattern, name } of named) {
    const rule = rules[name as keyof typeof rules]
    const path = pattern
      .replace(':id', id)
      .replace(':key_id', keyId)
      .replace(':zone', rule === 'hub admin' ? 'spare' : 'root')
      .replace(/:\w+/, 'nobody')
    const ask = async (
      who: string,
      key: string | undefined,
      headers: Readonly<Record<string, string>>,
      wanted: string,
    ) => {
      const body = bodies[name]?.()
      const { status, body: said } = await broker.send<{ code?: string }>(method, path, {
        key,
        headers,
        ...(body !== undefined && { body }),
      })
      const code = said?.code ?? ''
      const isOutside =
        /^(connection|token)_not_found$/.test(code) || (rule === 'hub zone' && code === 'zone_not_found')
      const got = refusals.has(code) || isOutside ? code : status < 500 ? 'in' : `${status} ${code}`
      if (got !== wanted) faults.push(`${name} (${rule}), ${who}: ${got}, not ${wanted}`)
    }
    const isForAgents = rule !== 'operator' && rule !== 'any key'
    const closed = rule === 'operator' ? 'forbidden' : 'in'
    const without = isForAgents ? 'missing_bearer_token' : closed
    const bad = isForAgents ? 'invalid_token' : closed

    await ask('no key', undefined, {}, 'missing_api_key')
    await ask(
      'a token without the key',
      undefined,
      bearer(tokens.admin),
      rule === 'any key' ? 'invalid_api_key' : 'missing_api_key',
    )
    await ask('a wrong key', 'w'.repeat(64), bearer(tokens.admin), 'invalid_api_key')
    await ask('the key alone', API_KEY, {}, without)
    await ask('another scheme', API_KEY, { authorization: `Basic ${tokens.rw}` }, without)
    await ask('the header of the Gateway', API_KEY, { 'x-nexus-api-key': tokens.rw }, without)
    for (const text of [
      '',
      'x',
      `${tokens.rw}x`,
      tokens.rw.slice(1),
      `x${tokens.rw}`,
      API_KEY,
      tokens.rw.toUpperCase(),
    ]) {
      await ask(`malformed: ${text}`, API_KEY, bearer(text), bad)
    }
    for (const kind of ['unknown', 'expired', 'revoked'] as const) await ask(kind, API_KEY, bearer(tokens[kind]), bad)
    await ask('another zone', API_KEY, bearer(tokens.other), expectedElsewhere(rule))
    for (const kind of ['r', 'w', 'rw', 'c'] as const) {
      await ask(kind, API_KEY, bearer(tokens[kind]), expected(rule, kind, false))
    }
    await ask('x', API_KEY, bearer(tokens.x), expected(rule, 'rwx', false))
    await ask('admin', API_KEY, bearer(tokens.admin), expected(rule, '', true))
    const isShared = !isForAgents || rule === 'catalogue' || rule.startsWith('hub')
    await ask('the operator', ADMIN_API_KEY, {}, isShared ? 'in' : 'forbidden')
  }
  expect(faults).toEqual([])
})

test('a refusal of the token is the same whatever is wrong with it, and says what is asked for', async ({ scene }) => {
  const { broker, tokens } = scene
  const ask = (headers: Readonly<Record<string, string>>) => broker.get('/connections', { headers })
  const missing = await ask({})
  expect(missing).toMatchObject({ status: 401, body: { code: 'missing_bearer_token' } })
  expect(missing.headers.get('www-authenticate')).toBe('Bearer realm="nexus-hub"')
  const said = new Set<string>()
  for (const token of ['x', tokens.unknown, tokens.expired, tokens.revoked]) {
    const answer = await ask({ authorization: `bearer ${token}` })
    expect(answer.status).toBe(401)
    expect(answer.headers.get('www-authenticate')).toBe('Bearer realm="nexus-hub", error="invalid_token"')
    expect(answer.headers.get('x-nexus-identity')).toBeNull()
    said.add(answer.text.replace(/"request_id":"[^"]*"/, ''))
  }
  expect(said.size).toBe(1)
})

test('without REQUIRE_BEARER nobody in particular acts in root with rw, and a token that is sent is judged', async ({
  scene: { id, tokens },
  database,
}) => {
  await using open = await startTestBroker(database)
  expect((await open.get(`/connections/${id}`)).status).toBe(200)
  expect(await open.get('/agent-tokens', { key: open.keys.API_KEY })).toMatchObject({ status: 403 })
  const bearer = (token: string) => ({ headers: { authorization: `Bearer ${token}` } })
  expect(await open.get(`/connections/${id}`, bearer(tokens.other))).toMatchObject({ status: 404 })
  expect(await open.get(`/connections/${id}`, bearer(tokens.revoked))).toMatchObject({ status: 401 })
})
