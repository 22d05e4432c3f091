import type { Connection } from '@nexus/contracts'
import { expect } from 'vitest'
import { connect } from './connection-scene.ts'
import { type Client, readToken, requestConnection } from './harness.ts'
import { type Scripted, openProvider, test } from './handshake-scene.ts'

type Page = { readonly connections: readonly Connection[]; readonly next_cursor: string | null }
type Query = Readonly<Record<string, string>>

async function list(broker: Client, query: Query): Promise<Page> {
  const { status, body, text } = await broker.get<Page>(`/connections?${new URLSearchParams(query).toString()}`)
  expect(status, text).toBe(200)
  return body
}

async function listIds(broker: Client, query: Query): Promise<readonly string[]> {
  return (await list(broker, query)).connections.map(({ id }) => id)
}

async function listAllIds(broker: Client, query: Query, whileListing = async () => {}): Promise<readonly string[]> {
  const ids: string[] = []
  for (let cursor: string | null = ''; cursor !== null;) {
    const page: Page = await list(broker, { ...query, ...(cursor === '' ? {} : { cursor }) })
    ids.push(...page.connections.map(({ id }) => id))
    cursor = page.next_cursor
    await whileListing()
  }
  return ids
}

async function requestMany(broker: Client, provider: Scripted, workspace: string, count: number) {
  const ids: string[] = []
  for (let n = 0; n < count; n++) {
    const spec = { provider_name: provider.name, workspace_id: workspace }
    ids.push((await requestConnection(broker, spec)).connection_id)
  }
  return ids
}

test('a connection answers with all that is known of it', async ({ broker }) => {
  const provider = await openProvider(broker)
  const metadata = { note: 'Zoë 👩‍💻', nested: { list: [1, null, true] } }
  const id = await connect(broker, provider, { workspace_id: 'workspace-7', scopes: ['openid'], metadata })
  const { status, body } = await broker.get<Connection>(`/connections/${id}`)
  const time = expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/)
  expect(status).toBe(200)
  expect(body).toStrictEqual({
    id,
    zone: 'root',
    workspace_id: 'workspace-7',
    provider: provider.name,
    status: 'active',
    status_reason: null,
    scopes: ['openid'],
    granted_scopes: ['openid'],
    account: { issuer: provider.issuer, subject: 'ada', label: null },
    created_at: time,
    updated_at: time,
    last_used_at: null,
    token_expires_at: time,
    last_refresh_at: null,
    metadata,
  })
  expect(await list(broker, { workspace_id: 'workspace-7' })).toEqual({ connections: [body], next_cursor: null })
})

test('pages follow each other in the order of creation, whatever their size', async ({ broker }) => {
  const ids = await requestMany(broker, await openProvider(broker), 'pages', 7)
  for (const limit of ['1', '3', '7', '200']) {
    expect(await listAllIds(broker, { workspace_id: 'pages', limit }), `pages of ${limit}`).toEqual(ids)
  }
  expect((await list(broker, { workspace_id: 'pages', limit: '7' })).next_cursor, 'no empty last page').toBeNull()
})

test('rows that were created in one moment are neither skipped nor repeated', async ({ broker, database }) => {
  const ids = await requestMany(broker, await openProvider(broker), 'moment', 6)
  await database.pool.query(`update connections set created_at = '2026-01-01 00:00:00.123456+00' where id = any ($1)`, [
    ids,
  ])
  const found = await listAllIds(broker, { workspace_id: 'moment', limit: '2' })
  expect(found).toEqual(ids.toSorted())
})

test('connections made while somebody pages come at the end', async ({ broker }) => {
  const provider = await openProvider(broker)
  const ids = await requestMany(broker, provider, 'growing', 4)
  let rounds = 0
  const found = await listAllIds(broker, { workspace_id: 'growing', limit: '2' }, async () => {
    rounds += 1
    if (rounds <= 2) ids.push(...(await requestMany(broker, provider, 'growing', 1)))
  })
  expect(found).toEqual(ids)
})

test('filters narrow the list, alone and together', async ({ broker, database }) => {
  const [one, two] = [await openProvider(broker), await openProvider(broker)]
  const active = await connect(broker, one, { workspace_id: 'filters' })
  const [pending] = await requestMany(broker, two, 'filters', 1)
  const other = await connect(broker, one, { workspace_id: 'filters-2' })
  expect(await listIds(broker, { workspace_id: 'filters' })).toEqual([active, pending])
  expect(await listIds(broker, { provider: one.name })).toEqual([active, other])
  expect(await listIds(broker, { workspace_id: 'filters', provider: two.name })).toEqual([pending])
  expect(await listIds(broker, { workspace_id: 'filters', status: 'active' })).toEqual([active])
  expect(await listIds(broker, { workspace_id: 'filters', zone: 'root' })).toEqual([active, pending])
  expect(await listIds(broker, { workspace_id: 'filters', zone: 'elsewhere' })).toEqual([])
  expect(await listIds(broker, { workspace_id: `filters' or '1'='1` })).toEqual([])
  expect((await broker.send('DELETE', `/connections/${active}`)).status).toBe(200)
  expect(await listIds(broker, { workspace_id: 'filters', status: 'active' })).toEqual([])
  expect(await listIds(broker, { workspace_id: 'filters', status: 'revoked' })).toEqual([active])
  expect(await listIds(broker, { provider: one.name, status: 'revoked', zone: 'root' })).toEqual([active])
  // one reads as expired, the other was written down as such
  const [, swept = ''] = [pending, ...(await requestMany(broker, two, 'filters', 1))]
  await database.pool.query('update connections set pending_until = now() where id = $1', [pending])
  await database.pool.query(`update connections set status = 'expired' where id = $1`, [swept])
  expect(await listIds(broker, { provider: two.name, status: 'expired' })).toEqual([pending, swept])
  expect(await listIds(broker, { provider: two.name, status: 'pending' })).toEqual([])
})

test('a pending connection is expired from its deadline on, swept or not', async ({ broker, database }) => {
  const provider = await openProvider(broker)
  const { connection_id: id, authUrl } = await requestConnection(broker, {
    provider_name: provider.name,
    workspace_id: 'deadline',
  })
  expect(await listIds(broker, { workspace_id: 'deadline', status: 'pending' })).toEqual([id])
  await database.pool.query(`update connections set pending_until = now() where id = $1`, [id])
  await database.pool.query(`update handshakes set expires_at = now() where connection_id = $1`, [id])
  expect((await broker.get(`/connections/${id}`)).body).toMatchObject({ status: 'expired' })
  expect(await listIds(broker, { workspace_id: 'deadline', status: 'expired' })).toEqual([id])
  expect(await listIds(broker, { workspace_id: 'deadline', status: 'pending' })).toEqual([])
  expect((await readToken(broker, id)).body).toMatchObject({ details: { status: 'expired' } })
  expect((await broker.get(new URL(authUrl).pathname)).status).toBe(410)
  const { rows } = await database.pool.query('select status from connections where id = $1', [id])
  expect(rows, 'nobody swept').toEqual([{ status: 'pending' }])
})

const cursor = (content: unknown): string => Buffer.from(JSON.stringify(content)).toString('base64url')
const id = '019ab000-0000-7000-8000-000000000001'
const foreign: readonly (readonly [name: string, value: string])[] = [
  ['cursor', 'nonsense'],
  ['cursor', cursor(['audit', '2026-01-01 00:00:00+00', id])],
  ['cursor', cursor(['connections', '2026-01-01 99:00:00+00', id])],
  ['cursor', cursor(['connections', '0000-01-01 00:00:00+00', id])],
  ['cursor', cursor(['connections', "2026-01-01 00:00:00+00'; --", id])],
  ['cursor', cursor(['connections', '2026-01-01 00:00:00+00', 'x'])],
  ['cursor', 'x'.repeat(513)],
  ['status', 'happy'],
  ['limit', '0'],
  ['limit', '201'],
  ['limit', '1.5'],
  ['limit', ''],
  ['workspace_id', ''],
  ['workspace_id', 'x'.repeat(257)],
  ['workspace_id', 'a\0b'],
  ['provider', 'x'.repeat(65)],
  ['zone', 'No Zone'],
  ['user_id', 'that is the name at the Gateway'],
]

test.for(foreign)('refused, by name: %s=%s', async ([name, value], { broker }) => {
  const { status, body } = await broker.get<{ code: string; message: string }>(
    `/connections?${new URLSearchParams({ [name]: value }).toString()}`,
  )
  expect({ status, code: body.code }).toEqual({ status: 400, code: 'invalid_request' })
  expect(body.message).toContain(name)
})
