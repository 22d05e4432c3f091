import type { AuditEventBody } from '@nexus/contracts'
import { expect } from 'vitest'
import { asAgent, findToken, mint, openTeam } from './agents-scene.ts'
import { connect } from './connection-scene.ts'
import { openProvider, test as base } from './handshake-scene.ts'
import { type Answer, type Client, type TestBroker, mintToken, requestConnection, startTestBroker } from './harness.ts'

/** Two teams with alike data: the same user's name, the same provider, and a profile that is one team's alone. */
const test = base.extend('teams', { scope: 'file' }, async ({ database }, { onCleanup }) => {
  const env = { AUTH_RATE_LIMIT_PER_MINUTE: '0', REQUIRE_BEARER: 'true' }
  const broker = await startTestBroker(database, { env })
  onCleanup(() => broker[Symbol.asyncDispose]())
  return { broker, mine: await openTeam(broker), yours: await openTeam(broker) }
})

type Team = Awaited<ReturnType<typeof openTeam>>

async function connectBoth({ broker, mine, yours }: { broker: TestBroker; mine: Team; yours: Team }) {
  const options = { provider: { behaviour: { token: {} } }, profile: { scopes: ['read'] } }
  const provider = await openProvider(broker, options)
  const metadata = (team: string) => ({ metadata: { secret_of: team } })
  return {
    provider,
    mineId: await connect(mine.agent, provider, metadata(mine.zone)),
    yoursId: await connect(yours.agent, provider, metadata(yours.zone)),
  }
}

const nowhere = '019ab000-0000-7000-8000-00000000dead'

/** An answer without what differs from one request to the next. */
function comparable({ status, headers, text }: Awaited<ReturnType<Client['send']>>) {
  const kept = [...headers].filter(([name]) => !['date', 'x-request-id', 'content-length'].includes(name))
  return { status, headers: kept, text: text.replace(/"request_id":"[^"]*"/, '') }
}

test('[C4] a connection of another zone answers exactly as one that is not there, on every route', async ({
  teams,
}) => {
  const { yoursId } = await connectBoth(teams)
  const { agent } = teams.mine
  const completion = { completion_code: 'x'.repeat(43), workspace_id: 'user-1' }
  const all = asAgent(
    teams.broker,
    await mintToken(teams.broker, { zones: [{ zone: teams.mine.zone, permissions: 'rwxc' }] }),
  )
  for (const [client, method, path, body] of [
    [agent, 'GET', '', undefined],
    [agent, 'GET', '/token', undefined],
    [agent, 'POST', '/refresh', undefined],
    [agent, 'POST', '/reconnect', {}],
    [agent, 'DELETE', '', undefined],
    [all, 'POST', '/complete', completion],
  ] as const) {
    const ask = (id: string) => client.send(method, `/connections/${id}${path}`, { ...(body && { body }) })
    const [outside, absent] = [await ask(yoursId), await ask(nowhere)]
    expect(outside.status, `${method} ${path}`).toBe(404)
    expect(comparable(outside)).toEqual(comparable(absent))
  }
  expect(await teams.yours.agent.get(`/connections/${yoursId}/token`)).toMatchObject({ status: 200 })
})

test('[C4] [A2] whoever reaches for another zone is recorded, with the zone it reached for', async ({ teams }) => {
  const { yoursId } = await connectBoth(teams)
  const { key_id } = await findToken(teams.broker, teams.mine.token)
  await teams.mine.agent.get(`/connections/${yoursId}`)
  await teams.mine.agent.get(`/connections/${yoursId}/token`)
  const denied = async () => {
    const path = `/audit?event_type=access.denied&connection_id=${yoursId}`
    return (await teams.broker.get<{ events: AuditEventBody[] }>(path)).body.events
  }
  await expect.poll(async () => (await denied()).length).toBe(2)
  for (const event of await denied()) {
    expect(event).toMatchObject({ actor_kind: 'agent', actor_id: key_id, outcome: 'connection_not_found' })
  }
})

test('[C4] nothing of another zone stands in any listing, whatever is asked for', async ({ teams }) => {
  const { provider, mineId, yoursId } = await connectBoth(teams)
  type Listed = { connections: { id: string; zone: string }[]; next_cursor: string | null }
  for (const query of [
    '',
    '?workspace_id=user-1',
    `?provider=${provider.name}`,
    '?status=active',
    '?limit=1',
    `?zone=${teams.yours.zone}`,
    `?zone=${teams.mine.zone}`,
    '?zone=root',
  ]) {
    let cursor: string | null = null
    do {
      const next: string = cursor === null ? query : `${query}${query === '' ? '?' : '&'}cursor=${cursor}`
      const answer: Answer<Listed> = await teams.mine.agent.get<Listed>(`/connections${next}`)
      expect(answer.status).toBe(200)
      expect(answer.body.connections.every(({ zone }) => zone === teams.mine.zone)).toBe(true)
      expect(answer.text).not.toContain(yoursId)
      expect(answer.text).not.toContain(teams.yours.zone)
      cursor = answer.body.next_cursor
    } while (cursor !== null)
  }
  const { body } = await teams.mine.agent.get<Listed>(`/connections?provider=${provider.name}`)
  expect(body.connections.map(({ id }) => id)).toEqual([mineId])
})

test('[C4] a cursor of another zone leads to nothing of it', async ({ teams }) => {
  const { yoursId } = await connectBoth(teams)
  await connectBoth(teams)
  const theirs = await teams.yours.agent.get<{ next_cursor: string }>('/connections?limit=1')
  const answer = await teams.mine.agent.get(`/connections?cursor=${theirs.body.next_cursor}`)
  expect(answer.status).toBe(200)
  expect(answer.text).not.toContain(teams.yours.zone)
  expect(answer.text).not.toContain(yoursId)
})

test('[C4] a profile of another zone is neither listed, nor described, nor connected to', async ({ teams }) => {
  const { broker, mine, yours } = teams
  const provider = await openProvider(broker, { profile: { zones: [yours.zone] } })
  for (const path of ['/providers', '/providers/metadata']) {
    expect((await mine.agent.get(path)).text).not.toContain(provider.name)
    expect((await yours.agent.get(path)).text).toContain(provider.name)
    expect((await broker.get(path)).text, 'operators see all').toContain(provider.name)
  }
  for (const [named, unknown] of [
    [{ provider_name: provider.name }, { provider_name: 'nobody' }],
    [{ provider_id: provider.providerId }, { provider_id: nowhere }],
  ] as const) {
    const ask = (wanted: object) => mine.agent.post('/auth/consent-spec', { workspace_id: 'user-1', ...wanted })
    const [outside, absent] = [await ask(named), await ask(unknown)]
    expect(outside).toMatchObject({ status: 404, body: { code: 'provider_not_found' } })
    expect(comparable(outside)).toEqual(comparable(absent))
  }
  expect(await connect(yours.agent, provider)).toMatch(/^[0-9a-f-]{36}$/)
})

test('[C4] an Idempotency-Key of one agent says nothing to another, even for the same person', async ({ teams }) => {
  const provider = await openProvider(teams.broker)
  const ask = (team: Team) =>
    team.agent.post<{ connection_id: string }>(
      '/auth/consent-spec',
      { workspace_id: 'user-1', provider_name: provider.name },
      { headers: { 'idempotency-key': 'once' } },
    )
  const [mine, yours, again] = [await ask(teams.mine), await ask(teams.yours), await ask(teams.mine)]
  expect([mine.status, yours.status]).toEqual([200, 200])
  expect(yours.body.connection_id).not.toBe(mine.body.connection_id)
  expect(again.body.connection_id).toBe(mine.body.connection_id)
})

test('[C4] an Idempotency-Key leads back to no zone that its token has lost', async ({
  teams: { broker, mine, yours },
}) => {
  const provider = await openProvider(broker)
  const token = await mintToken(broker, { zones: [{ zone: mine.zone, permissions: 'rw' }] })
  const { key_id } = await findToken(broker, token)
  const ask = () =>
    asAgent(broker, token).post<{ connection_id: string }>(
      '/auth/consent-spec',
      { workspace_id: 'user-1', provider_name: provider.name },
      { headers: { 'idempotency-key': 'once' } },
    )
  const first = await ask()
  expect((await ask()).body.connection_id).toBe(first.body.connection_id)
  const zones = `/agent-tokens/${key_id}/zones`
  expect((await broker.send('PUT', `${zones}/${yours.zone}`, { body: { permissions: 'rw' } })).status).toBe(200)
  expect((await broker.send('DELETE', `${zones}/${mine.zone}`)).status).toBe(200)
  const seen = () => asAgent(broker, token).get(`/connections/${first.body.connection_id}`)
  await expect.poll(async () => (await seen()).status, { timeout: 2_000 }).toBe(404)
  expect(await ask()).toMatchObject({ status: 422, body: { code: 'idempotency_mismatch' } })
})

test('[C4] zones that are not its own are neither listed nor counted', async ({ teams }) => {
  await connectBoth(teams)
  const { mine, yours } = teams
  const zones = await mine.agent.get<{ zones: { name: string }[] }>('/zones')
  expect(zones.body.zones.map(({ name }) => name)).toEqual([mine.zone])
  const status = async (team: Team) => (await team.agent.get<{ connections: { active: number } }>('/hub/status')).body
  const before = await status(mine)
  await connect(yours.agent, await openProvider(teams.broker))
  expect(await status(mine)).toEqual(before)
  for (const [method, path] of [
    ['DELETE', `/zones/${yours.zone}`],
    ['DELETE', '/zones/nowhere'],
  ] as const) {
    expect(await mine.agent.send(method, path)).toMatchObject({ status: 403 })
  }
})

test('[C4] a token that moved to another zone is nothing that the old one could learn of, nor it of the old one', async ({
  teams: { broker, mine, yours },
}) => {
  const wanted = { name: 'courier', zones: [mine, yours].map(({ zone }) => ({ zone, permissions: 'r' })) }
  const moved = await mint(broker, wanted)
  const { key_id } = moved.body
  expect((await broker.send('DELETE', `/agent-tokens/${key_id}/zones/${mine.zone}`)).status).toBe(200)
  expect((await yours.agent.get(`/agent-tokens/${key_id}`)).body).toMatchObject({ zone: yours.zone })
  const alike = (team: Team) => mint(team.agent, { name: 'courier', zones: [{ zone: team.zone, permissions: 'r' }] })
  expect((await alike(mine)).status, 'the name of a token that it cannot see').toBe(201)
  expect((await alike(yours)).body).toMatchObject({ code: 'token_name_taken', details: { zone: yours.zone } })

  // where the name is taken already, a zone goes all the same
  const second = await mint(broker, { ...wanted, zones: [{ zone: 'root', permissions: 'r' }, wanted.zones[1]] })
  const leaving = await broker.send('DELETE', `/agent-tokens/${second.body.key_id}/zones/root`)
  expect(leaving).toMatchObject({ status: 200, body: { zone: 'root', zones: [wanted.zones[1]] } })
})

test('a token with several zones names the one it creates in, and finds connections in any of them', async ({
  teams: { broker, mine, yours },
}) => {
  const zones = [
    { zone: mine.zone, permissions: 'rw' },
    { zone: yours.zone, permissions: 'r' },
    { zone: 'root', permissions: 'rw' },
  ]
  const both = asAgent(broker, await mintToken(broker, { zones }))
  const provider = await openProvider(broker)
  const ask = (more: object, header?: string) =>
    both.post<{ connection_id: string }>(
      '/auth/consent-spec',
      { workspace_id: 'user-1', provider_name: provider.name, ...more },
      { headers: header === undefined ? {} : { 'x-nexus-zone-id': header } },
    )
  expect(await ask({})).toMatchObject({
    status: 400,
    body: { code: 'zone_required', details: { zones: [mine.zone, 'root'] } },
  })
  expect(await ask({ zone: 'nowhere' })).toMatchObject({ status: 404, body: { code: 'zone_not_found' } })
  expect(await ask({ zone: yours.zone })).toMatchObject({ status: 403, body: { code: 'insufficient_permission' } })
  expect(await ask({ zone: mine.zone }, 'root')).toMatchObject({ status: 400, body: { code: 'invalid_request' } })
  expect(await ask({}, 'No Zone')).toMatchObject({ status: 400, body: { code: 'invalid_request' } })
  for (const [more, header, zone] of [
    [{ zone: mine.zone }, undefined, mine.zone],
    [{}, 'root', 'root'],
    [{ zone: 'root' }, 'root', 'root'],
  ] as const) {
    const { body } = await ask(more, header)
    expect((await both.get(`/connections/${body.connection_id}`)).body).toMatchObject({ zone })
  }
  const theirs = await connect(yours.agent, provider)
  expect((await both.get(`/connections/${theirs}/token`)).status).toBe(200)
  expect(await both.send('DELETE', `/connections/${theirs}`), 'r is not w').toMatchObject({
    status: 403,
    body: { code: 'insufficient_permission', details: { needed: 'w' } },
  })
  const noR = asAgent(
    broker,
    await mintToken(broker, { zones: [{ zone: yours.zone, permissions: 'w' }, ...zones.slice(2)] }),
  )
  expect(await noR.get(`/connections/${theirs}/token`)).toMatchObject({ status: 403 })
  expect(await noR.post(`/connections/${theirs}/refresh`), 'its answer is the credential').toMatchObject({
    status: 403,
  })
})

test('an administrator sees all zones, and creates in root unless it names another', async ({ teams }) => {
  const { broker, mine } = teams
  const admin = asAgent(broker, await mintToken(broker, { is_admin: true }))
  const { mineId, yoursId, provider } = await connectBoth(teams)
  for (const id of [mineId, yoursId]) expect((await admin.get(`/connections/${id}/token`)).status).toBe(200)
  const zoneOf = async (spec: object) => {
    const { connection_id } = await requestConnection(admin, { provider_name: provider.name, ...spec })
    return (await admin.get<{ zone: string }>(`/connections/${connection_id}`)).body.zone
  }
  expect(await zoneOf({})).toBe('root')
  expect(await zoneOf({ zone: mine.zone })).toBe(mine.zone)
  const nowhereToo = await admin.post('/auth/consent-spec', {
    workspace_id: 'user-1',
    provider_name: provider.name,
    zone: 'nowhere',
  })
  expect(nowhereToo).toMatchObject({ status: 404, body: { code: 'zone_not_found' } })
})

test('the Gateway is told whose token it forwarded, whatever became of the request', async ({ teams }) => {
  const { broker, mine, yours } = teams
  const token = await mintToken(broker, { zones: [{ zone: mine.zone, permissions: 'r' }], owner: 'Ada & Söhne; x=y' })
  const { key_id } = await findToken(broker, token)
  const told = `key_id=${key_id}; tier=authenticated; owner=Ada%20%26%20S%C3%B6hne%3B%20x%3Dy; zone=${mine.zone}`
  const agent = asAgent(broker, token)
  for (const path of ['/connections', `/connections/${nowhere}`, '/agent-tokens', '/connections?limit=0']) {
    expect((await agent.get(path)).headers.get('x-nexus-identity'), path).toBe(told)
  }
  // a record of the request is not to name a zone that it has nothing to do with
  for (const [named, zone] of [
    [mine.zone, `; zone=${mine.zone}`],
    [yours.zone, ''],
  ] as const) {
    const { headers } = await asAgent(broker, token, named).get('/connections')
    expect(headers.get('x-nexus-identity')).toBe(told.replace(/; zone=.*$/, zone))
  }
  const admin = await asAgent(broker, await mintToken(broker, { is_admin: true })).get('/connections')
  expect(admin.headers.get('x-nexus-identity')).toMatch(/; tier=admin; owner=test-[0-9a-f-]+$/)
  expect((await broker.get('/providers')).headers.get('x-nexus-identity')).toBeNull()
})
