import type { AuditEventBody, Zone } from '@nexus/contracts'
import { test as base } from '@nexus/testing/vitest'
import { expect, onTestFinished, vi } from 'vitest'
import { selectConnectionsLeft } from '../src/connections/disconnect-store.ts'
import { asAgent, findToken, mint, openTeam } from './agents-scene.ts'
import { auditEvents } from './audit-events.ts'
import { connect, openPlainConnection } from './connection-scene.ts'
import { openTestDatabase, whenWaiting } from './database-tools.ts'
import { arrive, openProvider, test } from './handshake-scene.ts'
import { type Client, mintToken, requestConnection, startTestBroker } from './harness.ts'
import { setStatus, travelAgain } from './reconnect-scene.ts'

const grant = (zone: string, permissions: string) => ({ zone, permissions })

const remove = (client: Client, zone: string, force = false) =>
  client.send<{ code: string; connections: number; tokens_revoked: number }>(
    'DELETE',
    `/zones/${zone}${force ? '?force=true' : ''}`,
  )

base(
  'the first token of an installation brings the zones that it names, and later ones do not',
  async ({ emptyDatabase }) => {
    await using broker = await startTestBroker(emptyDatabase)
    expect((await broker.get<{ zones: Zone[] }>('/zones')).body.zones.map(({ name }) => name)).toEqual(['root'])
    expect(await mint(broker, { zones: [grant('eng', 'rw'), grant('ops', 'r')] })).toMatchObject({ status: 201 })
    expect((await broker.get<{ zones: Zone[] }>('/zones')).body.zones.map(({ name }) => name)).toEqual([
      'eng',
      'ops',
      'root',
    ])
    expect(await mint(broker, { zones: [grant('egn', 'rw')] })).toMatchObject({
      status: 404,
      body: { code: 'zone_not_found' },
    })
  },
)

test('zones are made once, by operators and administrators, and listed by name with what is in them', async ({
  broker,
  database,
}) => {
  const { zone, agent } = await openTeam(broker)
  expect(await broker.post('/zones', { name: zone })).toMatchObject({ status: 409, body: { code: 'zone_exists' } })
  expect(await broker.post('/zones', { name: 'root' })).toMatchObject({ status: 409 })
  expect(await broker.post('/zones', { name: 'No Zone' })).toMatchObject({ status: 400 })
  expect(await agent.post('/zones', { name: 'mine' })).toMatchObject({
    status: 403,
    body: { details: { needed: 'admin' } },
  })
  const admin = asAgent(broker, await mintToken(broker, { is_admin: true }))
  expect(await admin.post('/zones', { name: 'theirs' })).toMatchObject({ status: 201, body: { name: 'theirs' } })

  const provider = await openProvider(broker)
  await connect(agent, provider)
  await requestConnection(agent, { provider_name: provider.name })
  const gone = await connect(agent, provider)
  await agent.send('DELETE', `/connections/${gone}`)
  // which the team's own manager neither sees nor counts
  await mintToken(broker, {
    zones: [
      { zone, permissions: 'r' },
      { zone: 'theirs', permissions: 'r' },
    ],
  })
  // nor anybody one that is over
  const over = await mintToken(broker, { zones: [{ zone, permissions: 'r' }], expires_in: 3600 })
  await database.pool.query(`update agent_tokens set expires_at = now() - interval '1 s' where prefix = $1`, [
    over.slice(0, -44),
  ])
  const listed = await agent.get<{ zones: Zone[] }>('/zones')
  expect(listed.body.zones).toMatchObject([{ name: zone, connections: 2, tokens: 1 }])
  const { body } = await broker.get<{ zones: Zone[] }>('/zones?limit=200')
  expect(body.zones.find(({ name }) => name === zone)).toMatchObject({ tokens: 2 })
  const names: string[] = []
  for (let cursor = ''; cursor !== undefined;) {
    const page = await broker.get<{ zones: Zone[]; next_cursor: string | null }>(`/zones?limit=2${cursor}`)
    names.push(...page.body.zones.map(({ name }) => name))
    if (page.body.next_cursor === null) break
    cursor = `&cursor=${page.body.next_cursor}`
  }
  expect(names).toEqual(names.toSorted())
  expect(names).toEqual(expect.arrayContaining(['root', 'theirs', zone]))
})

test('root stays, and a zone that is not there cannot be removed', async ({ broker }) => {
  expect(await remove(broker, 'root', true)).toMatchObject({ status: 400, body: { code: 'invalid_request' } })
  expect(await remove(broker, 'nowhere')).toMatchObject({ status: 404, body: { code: 'zone_not_found' } })
})

test('an empty zone goes with its tokens, and its name can be given anew', async ({ broker }) => {
  const { zone, agent, token } = await openTeam(broker)
  const wide = await mintToken(broker, { zones: [grant('root', 'r'), grant(zone, 'rw')] })
  expect((await agent.get('/connections')).status).toBe(200)
  expect((await asAgent(broker, wide).get('/connections')).status).toBe(200)
  expect((await remove(broker, zone)).body).toEqual({ name: zone, connections: 0, tokens_revoked: 1 })
  expect((await findToken(broker, token)).revoked_at).not.toBeNull()
  expect((await findToken(broker, wide)).zones).toEqual([grant('root', 'r')])
  await expect.poll(async () => (await agent.get('/connections')).status, { timeout: 3_000 }).toBe(401)
  expect((await asAgent(broker, wide).get('/connections')).status).toBe(200)
  expect(await remove(broker, zone)).toMatchObject({ status: 404 })

  expect(await broker.post('/zones', { name: zone })).toMatchObject({ status: 201 })
  expect((await agent.get('/connections')).status, 'old tokens stay revoked').toBe(401)
  expect((await findToken(broker, wide)).zones).toEqual([grant('root', 'r')])
  const events = await auditEvents(broker, 'zone.removed')
  expect(events.find((event) => event.zone === zone)).toMatchObject({ data: { connections: 0, tokens_revoked: 1 } })
})

test('a zone with connections goes by force alone: they are disconnected, and its name stays taken', async ({
  broker,
}) => {
  const { zone, agent } = await openTeam(broker)
  const provider = await openProvider(broker, { provider: { behaviour: { token: {} } }, profile: { scopes: ['read'] } })
  const [active, other] = [await connect(agent, provider), await openPlainConnection(broker)]
  const pending = await requestConnection(agent, { provider_name: provider.name })
  expect(await remove(broker, zone)).toMatchObject({
    status: 409,
    body: { code: 'zone_not_empty', details: { connections: 2 } },
  })
  expect((await agent.get(`/connections/${active}/token`)).status, 'nothing has changed').toBe(200)
  expect((await remove(broker, zone, true)).body).toMatchObject({ connections: 2 })

  const admin = asAgent(broker, await mintToken(broker, { is_admin: true }))
  const statusOf = async (id: string) => (await admin.get<{ status: string }>(`/connections/${id}`)).body.status
  await vi.waitFor(async () => expect(await statusOf(active)).toBe('revoked'), 15_000)
  await vi.waitFor(async () => expect(await statusOf(pending.connection_id)).toBe('revoked'), 15_000)
  expect(await statusOf(other.id)).toBe('active')
  await vi.waitFor(() => expect(provider.requestsTo('revocation').length).toBeGreaterThan(0), 15_000)
  const path = `/audit?event_type=connection.disconnected&connection_id=${active}`
  const { body } = await broker.get<{ events: AuditEventBody[] }>(path)
  expect(body.events).toMatchObject([{ zone, data: { cause: 'zone_removed' } }])

  expect(await broker.post('/zones', { name: zone }), 'whoever got it would see what was').toMatchObject({
    status: 409,
    body: { code: 'zone_exists' },
  })
  expect(await mint(broker, { zones: [grant(zone, 'r')] })).toMatchObject({ status: 404 })
  const again = await admin.post(`/connections/${active}/reconnect`, {})
  expect(again.status).not.toBe(200)
})

test('[R2] a link for a reconnect that was out when its zone went connects nothing in it', async ({
  broker,
  database,
}) => {
  const { zone, agent } = await openTeam(broker)
  const provider = await openProvider(broker, { provider: { behaviour: { token: {} } }, profile: { scopes: ['read'] } })
  const { connection_id: id } = await requestConnection(agent, { provider_name: provider.name })
  await setStatus(database.pool, id, 'failed')
  const journey = await travelAgain(agent, id)
  // no connection lives in it: nothing is there to force
  expect((await remove(broker, zone)).body).toMatchObject({ connections: 0 })
  await vi.waitFor(async () => {
    const { rows } = await database.pool.query('select disconnect_requested_at as at from zones where name = $1', [
      zone,
    ])
    expect(rows).toEqual([{ at: null }])
  }, 15_000)
  await arrive(journey)
  const admin = asAgent(broker, await mintToken(broker, { is_admin: true }))
  expect((await admin.get(`/connections/${id}`)).body).toMatchObject({ status: 'revoked' })
  expect((await admin.get(`/connections/${id}/token`)).status).toBe(409)
})

test('whoever is given the name of a removed zone learns nothing of the tokens that were for it', async ({
  broker,
}) => {
  const { zone, token } = await openTeam(broker)
  await remove(broker, zone)
  expect((await broker.post('/zones', { name: zone })).status).toBe(201)
  const newcomer = await mintToken(broker, { zones: [grant(zone, 'rwx')] })
  const { body } = await asAgent(broker, newcomer).get<{ tokens: { key_id: string }[] }>(
    '/agent-tokens?show_revoked=true',
  )
  expect(body.tokens.map(({ key_id }) => key_id)).toEqual([(await findToken(broker, newcomer)).key_id])
  expect((await asAgent(broker, newcomer).get('/hub/status')).body).toMatchObject({ tokens: { active: 1, revoked: 0 } })
  expect(await findToken(broker, token), 'operators still find it').toMatchObject({ zone })
})

test('[C4] a token that outlives its first zone keeps no name from whoever is given that zone anew', async ({
  broker,
}) => {
  const [gone, left] = [await openTeam(broker), await openTeam(broker)]
  const wanted = { name: 'courier', zones: [grant(gone.zone, 'r'), grant(left.zone, 'r')] }
  const { key_id } = (await mint(broker, wanted)).body
  await remove(broker, gone.zone)
  expect((await left.agent.get(`/agent-tokens/${key_id}`)).body).toMatchObject({ zone: left.zone })
  expect((await broker.post('/zones', { name: gone.zone })).status).toBe(201)
  const newcomer = asAgent(broker, await mintToken(broker, { zones: [grant(gone.zone, 'rwx')] }))
  expect((await mint(newcomer, { name: 'courier', zones: [grant(gone.zone, 'r')] })).status).toBe(201)
})

test('[C4] whoever is given the name of a removed zone is given none of the profiles that were for it', async ({
  broker,
}) => {
  const { zone } = await openTeam(broker)
  const { providerId, name } = await openProvider(broker, { profile: { zones: [zone] } })
  await remove(broker, zone)
  const make = () => broker.post('/zones', { name: zone })
  expect(await make()).toMatchObject({ status: 409, body: { code: 'zone_exists' } })

  // whoever writes the profile now means the zone that is to come
  expect((await broker.send('PATCH', `/providers/${providerId}`, { body: { zones: [zone] } })).status).toBe(200)
  expect(await make()).toMatchObject({ status: 201 })
  const newcomer = asAgent(broker, await mintToken(broker, { zones: [grant(zone, 'r')] }))
  expect((await newcomer.get('/providers')).text).toContain(name)
})

test('whoever asks for ever new connections in a zone cannot keep it from being removed', async ({
  broker,
  database,
}) => {
  const { zone, agent } = await openTeam(broker)
  const [slow, quick] = [await openProvider(broker), await openProvider(broker)]
  const ask = ({ name }: { readonly name: string }) =>
    agent.post('/auth/consent-spec', { workspace_id: 'user-1', provider_name: name })
  const holding = await database.pool.connect()
  try {
    await holding.query('begin')
    await holding.query('select from provider_profiles where id = $1 for update', [slow.providerId])
    const before = ask(slow)
    await whenWaiting(database.pool, 1)
    const removing = remove(broker, zone, true)
    await whenWaiting(database.pool, 2)
    // comes later, and is not let in before
    const after = ask(quick)
    await whenWaiting(database.pool, 3)
    await holding.query('commit')
    const statuses = (await Promise.all([before, removing, after])).map(({ status }) => status)
    expect(statuses).toEqual([200, 200, 404])
  } finally {
    holding.release(true)
  }
})

test('a zone that is made anew at once does not end with what it was: what is connected in it stays', async ({
  broker,
  database,
}) => {
  const { zone } = await openTeam(broker)
  await remove(broker, zone)
  expect((await broker.post('/zones', { name: zone })).status).toBe(201)
  const { rows } = await database.pool.query('select disconnect_requested_at from zones where name = $1', [zone])
  expect(rows).toEqual([{ disconnect_requested_at: null }])
  const token = await mintToken(broker, { zones: [grant(zone, 'rw')] })
  await connect(asAgent(broker, token), await openProvider(broker))
  // as a Broker finds it that had read of the removal before
  const opened = openTestDatabase(database)
  onTestFinished(() => opened.close())
  expect(await selectConnectionsLeft(opened, { kind: 'zone', id: zone }, undefined, 10)).toEqual([])
})

test('[R2] nothing is made in a zone that is being removed', async ({ broker }) => {
  const faults: string[] = []
  for (let round = 0; round < 10; round++) {
    const { zone, agent } = await openTeam(broker)
    const provider = await openProvider(broker)
    const [removed, requested, minted] = await Promise.all([
      remove(broker, zone),
      agent.post<{ connection_id: string }>('/auth/consent-spec', {
        workspace_id: 'user-1',
        provider_name: provider.name,
      }),
      mint(broker, { zones: [grant(zone, 'r')] }),
    ])
    const isMinted = minted.status === 201 && (await findToken(broker, minted.body.token)).revoked_at === null
    // whichever was first: no connection and no living token is left in a zone that is gone
    const isSound = removed.status === 200 ? requested.status !== 200 && !isMinted : removed.status === 409
    if (!isSound) faults.push(`${removed.status} ${requested.status} ${minted.status}`)
  }
  expect(faults).toEqual([])
})
