import { sha256 } from '@nexus/crypto'
import { expect } from 'vitest'
import { asAgent, findToken, mint, openTeam } from './agents-scene.ts'
import { auditEvents } from './audit-events.ts'
import { test } from './handshake-scene.ts'
import { mintToken } from './harness.ts'

const grant = (zone: string, permissions: string) => ({ zone, permissions })

test('a token says whose it is, is shown once, and is kept as a hash alone', async ({ broker, database }) => {
  const answer = await mint(broker, { name: 'Ada’s Bot_1', zones: [grant('root', 'wr')], owner: 'ada@example.com' })
  expect(answer.status).toBe(201)
  expect(answer.headers.get('cache-control')).toBe('no-store')
  const { token, ...described } = answer.body
  expect(token).toMatch(/^sk-root_adasbot1_[0-9a-f]{8}_[A-Za-z0-9_-]{43}$/)
  expect(described).toMatchObject({
    prefix: token.slice(0, -44),
    name: 'Ada’s Bot_1',
    owner: 'ada@example.com',
    zone: 'root',
    zones: [{ zone: 'root', permissions: 'rw' }],
    is_admin: false,
    expires_at: null,
    last_used_at: null,
    revoked_at: null,
  })
  expect(await findToken(broker, token)).toEqual(described)
  const { rows } = await database.pool.query(
    'select token_hash, agent_tokens::text as all from agent_tokens where id = $1',
    [described.key_id],
  )
  expect(rows[0].token_hash).toEqual(sha256(token))
  expect(rows[0].all).not.toContain(token.slice(-43))
})

test('what cannot be minted is refused by name, and leaves nothing behind', async ({ broker }) => {
  const before = (await broker.get<{ tokens: unknown[] }>('/agent-tokens?limit=200')).body.tokens.length
  for (const [wanted, status, code] of [
    [{ zones: [] }, 400, 'invalid_request'],
    [{ zones: [grant('root', 'r'), grant('root', 'w')] }, 400, 'invalid_request'],
    [{ zones: [grant('root', '')] }, 400, 'invalid_request'],
    [{ zones: [grant('root', 'rr')] }, 400, 'invalid_request'],
    [{ zones: [grant('root', 'rz')] }, 400, 'invalid_request'],
    [{ zones: [grant('root', 'r')], expires_in: 59 }, 400, 'invalid_request'],
    [{ zones: [grant('root', 'r')], name: 'a\nb' }, 400, 'invalid_request'],
  ] as const) {
    expect(await mint(broker, wanted), JSON.stringify(wanted)).toMatchObject({ status, body: { code } })
  }
  await openTeam(broker)
  const nowhere = await mint(broker, { zones: [grant('root', 'r'), grant('nowhere', 'r')] })
  expect(nowhere).toMatchObject({ status: 404, body: { code: 'zone_not_found', details: { zone: 'nowhere' } } })
  const after = (await broker.get<{ tokens: unknown[] }>('/agent-tokens?limit=200')).body.tokens.length
  expect(after).toBe(before + 1)
})

test('a name is taken in its first zone for as long as its token lives', async ({ broker }) => {
  const { zone } = await openTeam(broker)
  const named = (first: string) => mint(broker, { name: 'worker', zones: [grant(first, 'r')] })
  const first = await named(zone)
  expect(first.status).toBe(201)
  expect(await named(zone)).toMatchObject({ status: 409, body: { code: 'token_name_taken' } })
  expect((await named('root')).status).toBe(201)
  expect((await broker.send('DELETE', `/agent-tokens/${first.body.key_id}`)).status).toBe(200)
  expect((await named(zone)).status).toBe(201)
})

test('[A3] whoever holds x mints no wider than it holds: in zones, permissions, time and rank', async ({ broker }) => {
  const { zone } = await openTeam(broker)
  const other = await openTeam(broker)
  const lasting = await mint(broker, {
    zones: [grant(zone, 'rwx'), grant(other.zone, 'rw')],
    expires_in: 3600,
  })
  const maker = asAgent(broker, lasting.body.token)
  for (const [wanted, status, code] of [
    [{ zones: [grant('root', 'r')] }, 404, 'zone_not_found'],
    [{ zones: [grant(zone, 'r'), grant('root', 'r')] }, 404, 'zone_not_found'],
    [{ zones: [grant('nowhere', 'r')] }, 404, 'zone_not_found'],
    [{ zones: [grant(other.zone, 'r')] }, 403, 'insufficient_permission'],
    [{ zones: [grant(zone, 'rc')] }, 403, 'insufficient_permission'],
    [{ zones: [grant(zone, 'r')], is_admin: true }, 403, 'insufficient_permission'],
    [{ zones: [], is_admin: true }, 403, 'insufficient_permission'],
    [{ zones: [grant(zone, 'r')], expires_in: 7200 }, 400, 'invalid_request'],
  ] as const) {
    expect(await mint(maker, wanted), JSON.stringify(wanted)).toMatchObject({ status, body: { code } })
  }
  const made = await mint(maker, { zones: [grant(zone, 'x')] })
  expect(made).toMatchObject({ status: 201, body: { zones: [{ zone, permissions: 'rwx' }] } })
  const end = Date.parse(made.body.expires_at ?? '')
  expect(end, 'it ends with its maker').toBeLessThanOrEqual(Date.parse(lasting.body.expires_at ?? ''))
  expect(await mint(asAgent(broker, made.body.token), { zones: [grant(zone, 'r')] })).toMatchObject({ status: 201 })
  const events = await auditEvents(broker, 'agent_token.created')
  expect(events.find(({ data }) => data['key_id'] === made.body.key_id)).toMatchObject({
    actor_kind: 'agent',
    actor_id: lasting.body.key_id,
    zone,
  })
})

test('an administrator gives everything but c, which it gives only as far as it holds it', async ({ broker }) => {
  const { zone } = await openTeam(broker)
  const admin = asAgent(broker, await mintToken(broker, { is_admin: true, zones: [grant(zone, 'c')] }))
  expect((await mint(admin, { zones: [grant('root', 'rwx')], is_admin: true })).status).toBe(201)
  expect((await mint(admin, { zones: [grant(zone, 'rc')] })).status).toBe(201)
  expect(await mint(admin, { zones: [grant('root', 'c')] })).toMatchObject({
    status: 403,
    body: { code: 'insufficient_permission', details: { needed: 'c' } },
  })
})

test('[A3] nobody manages with a token that was revoked or expired, whatever a Broker remembers', async ({
  broker,
  database,
}) => {
  for (const column of ['revoked_at', 'expires_at']) {
    const token = await mintToken(broker, { is_admin: true })
    const admin = asAgent(broker, token)
    // known from here on
    expect((await admin.get('/agent-tokens')).status).toBe(200)
    // behind the Broker's back: no change is told of
    await database.pool.query(`update agent_tokens set ${column} = now() where prefix = $1`, [token.slice(0, -44)])
    for (const answer of [
      await mint(admin, { zones: [grant('root', 'r')] }),
      await admin.get('/agent-tokens'),
      await admin.post('/zones', { name: 'late' }),
      await admin.send('DELETE', '/zones/root-2'),
      await admin.get('/hub/status'),
    ]) {
      expect(answer).toMatchObject({ status: 401, body: { code: 'invalid_token' } })
    }
  }
})

test('an x holder sees, changes and revokes tokens all of whose zones are its own, and no others', async ({
  broker,
}) => {
  const mine = await openTeam(broker)
  const yours = await openTeam(broker)
  const both = await findToken(
    broker,
    await mintToken(broker, { zones: [grant(mine.zone, 'r'), grant(yours.zone, 'r')] }),
  )
  const admin = await findToken(broker, await mintToken(broker, { is_admin: true, zones: [grant(mine.zone, 'r')] }))
  const own = await findToken(broker, await mintToken(broker, { zones: [grant(mine.zone, 'r')] }))
  const foreign = await findToken(broker, yours.token)

  const { body } = await mine.agent.get<{ tokens: { key_id: string }[] }>('/agent-tokens?show_revoked=true')
  const me = await findToken(broker, mine.token)
  expect(body.tokens.map(({ key_id }) => key_id)).toEqual([own.key_id, me.key_id])
  for (const { key_id, prefix } of [both, admin, foreign]) {
    const notThere = { status: 404, body: { code: 'token_not_found' } }
    expect(await mine.agent.get(`/agent-tokens/${key_id}`)).toMatchObject(notThere)
    expect(await mine.agent.send('DELETE', `/agent-tokens/${key_id}`)).toMatchObject(notThere)
    const path = `/agent-tokens/${key_id}/zones/${mine.zone}`
    expect(await mine.agent.send('PUT', path, { body: { permissions: 'rw' } })).toMatchObject(notThere)
    expect(await mine.agent.send('DELETE', path)).toMatchObject(notThere)
    expect((await mine.agent.get(`/agent-tokens?match=${prefix}`)).body).toMatchObject({ tokens: [] })
  }
  const widened = `/agent-tokens/${own.key_id}/zones/${yours.zone}`
  expect(await mine.agent.send('PUT', widened, { body: { permissions: 'r' } })).toMatchObject({
    status: 404,
    body: { code: 'zone_not_found' },
  })
  expect(await mine.agent.send('DELETE', `/agent-tokens/${own.key_id}`)).toMatchObject({ status: 200 })
  expect((await findToken(broker, mine.token)).revoked_at).toBeNull()
})

test('zones of a token are added, changed and taken away, but for the last one', async ({ broker }) => {
  const [one, two] = [await openTeam(broker), await openTeam(broker)]
  const token = await mintToken(broker, { zones: [grant(one.zone, 'r')] })
  const { key_id } = await findToken(broker, token)
  const path = (zone: string) => `/agent-tokens/${key_id}/zones/${zone}`
  const put = (zone: string, permissions: string) => broker.send('PUT', path(zone), { body: { permissions } })
  expect((await put(two.zone, 'rw')).body).toMatchObject({ zones: [grant(one.zone, 'r'), grant(two.zone, 'rw')] })
  expect((await put(one.zone, 'w')).body).toMatchObject({ zones: [grant(one.zone, 'w'), grant(two.zone, 'rw')] })
  expect(await put('nowhere', 'r')).toMatchObject({ status: 404, body: { code: 'zone_not_found' } })
  expect(await broker.send('DELETE', path('nowhere'))).toMatchObject({ status: 404, body: { code: 'zone_not_found' } })
  expect((await broker.send('DELETE', path(one.zone))).body).toMatchObject({ zones: [grant(two.zone, 'rw')] })
  expect(await broker.send('DELETE', path(two.zone))).toMatchObject({ status: 409, body: { code: 'last_zone' } })
  expect((await broker.send('DELETE', `/agent-tokens/${key_id}`)).status).toBe(200)
  expect(await put(one.zone, 'r'), 'a revoked one does not come back').toMatchObject({ status: 400 })
  const events = await auditEvents(broker, undefined)
  const told = events.filter(({ data }) => data['key_id'] === key_id).map(({ event }) => event)
  expect(told.toReversed()).toEqual([
    'agent_token.created',
    'agent_token.zone_added',
    'agent_token.zone_added',
    'agent_token.zone_removed',
    'agent_token.revoked',
  ])
})

test('tokens are listed in pages, newest first, and found by name, id and prefix', async ({ broker }) => {
  const { zone, agent } = await openTeam(broker)
  const made = []
  for (const name of ['a', 'b', 'c', 'd']) made.push((await mint(agent, { name, zones: [grant(zone, 'r')] })).body)
  type Page = { tokens: { name: string; key_id: string }[]; next_cursor: string | null }
  const first = (await agent.get<Page>('/agent-tokens?limit=3')).body
  expect(first.tokens.map(({ name }) => name)).toEqual(['d', 'c', 'b'])
  const second = (await agent.get<Page>(`/agent-tokens?limit=3&cursor=${first.next_cursor}`)).body
  expect(second.tokens.map(({ name }) => name).slice(0, 1)).toEqual(['a'])
  expect(second.next_cursor).toBeNull()
  const { key_id, prefix } = await findToken(broker, made[0]?.token ?? '')
  for (const text of ['a', key_id, prefix]) {
    const { body } = await agent.get<Page>(`/agent-tokens?match=${text}`)
    expect(
      body.tokens.map((found) => found.key_id),
      text,
    ).toEqual([key_id])
  }
  expect((await agent.get<Page>('/agent-tokens?match=%25')).body.tokens).toEqual([])
  expect(await agent.get('/agent-tokens?cursor=x')).toMatchObject({ status: 400 })
})
