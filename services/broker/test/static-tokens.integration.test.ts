import type { Pool } from 'pg'
import { expect } from 'vitest'
import { capture, goodKey, requestStatic } from './capture-scene.ts'
import { tokenRow } from './database-tools.ts'
import { test } from './handshake-scene.ts'
import { type Client, readToken } from './harness.ts'

async function connectStatic(broker: Client) {
  const requested = await requestStatic(broker)
  expect((await capture(broker, requested.state)).status).toBe(200)
  return requested
}

async function hasToken(pool: Pool, id: string): Promise<boolean> {
  const { rows } = await pool.query('select 1 from tokens where connection_id = $1', [id])
  return rows.length > 0
}

const strategy = {
  type: 'header',
  config: { header_name: 'Authorization', value_prefix: 'Bearer ', credential_field: 'api_key' },
}

test('[V5] an agent gets the strategy and the credentials, and nothing else', async ({ broker }) => {
  const { connection_id: id, name } = await connectStatic(broker)
  const token = await readToken(broker, id)
  expect(token.status).toBe(200)
  expect(token.headers.get('cache-control')).toBe('no-store')
  expect(token.body).toEqual({
    strategy,
    credentials: { api_key: goodKey },
    provider: name,
    provider_id: expect.any(String),
  })
})

test('[A1] [A2] each release is in the audit', async ({ broker }) => {
  const { connection_id: id } = await connectStatic(broker)
  await readToken(broker, id)
  const { body } = await broker.get<{ events: { event: string; outcome: string }[] }>(`/audit?connection_id=${id}`)
  expect(body.events.map(({ event, outcome }) => `${event} ${outcome}`)).toEqual([
    'token_retrieved success',
    'credential_captured success',
    'connection.requested success',
  ])
})

test('there is nothing to refresh, and nobody tries', async ({ broker, database }) => {
  const { connection_id: id } = await connectStatic(broker)
  const refresh = await broker.post(`/connections/${id}/refresh`)
  expect(refresh).toMatchObject({ status: 400, body: { code: 'static_credential' } })
  expect(await tokenRow(database.pool, id)).toMatchObject({
    has_refresh_token: false,
    refresh_at: null,
    expires_at: null,
    lease_owner: null,
    sent_epoch: null,
  })
  expect((await broker.get(`/connections/${id}`)).body).toMatchObject({
    status: 'active',
    scopes: [],
    account: null,
    token_expires_at: null,
    last_refresh_at: null,
  })
  expect((await readToken(broker, id)).status).toBe(200)
})

test('disconnected, it is gone; a provider of keys cannot be asked to revoke one', async ({ broker, database }) => {
  const { connection_id: id } = await connectStatic(broker)
  const answer = await broker.send('DELETE', `/connections/${id}`)
  expect(answer).toMatchObject({ status: 200, body: { revoked_at_provider: false, revocation: 'unsupported' } })
  expect(await hasToken(database.pool, id)).toBe(false)
  const owed = await database.pool.query('select 1 from revocations where connection_id = $1', [id])
  expect(owed.rows).toEqual([])
  expect(await readToken(broker, id)).toMatchObject({ status: 409, body: { code: 'connection_not_active' } })
  expect((await broker.send('DELETE', `/connections/${id}`)).body).toEqual(answer.body)
})

test('[V1] a credential of another connection does not open here', async ({ broker, database }) => {
  const [one, other] = [await connectStatic(broker), await connectStatic(broker)]
  await database.pool.query(
    `update tokens t set credentials = o.credentials from tokens o where t.connection_id = $1 and o.connection_id = $2`,
    [one.connection_id, other.connection_id],
  )
  expect(await readToken(broker, one.connection_id)).toMatchObject({ status: 500, body: { code: 'vault_integrity' } })
  expect((await readToken(broker, other.connection_id)).status).toBe(200)
})

test('the metadata lists it by its kind, for agents to choose', async ({ broker }) => {
  const { name, providerId } = await connectStatic(broker)
  const { body } = await broker.get<Record<string, Record<string, unknown>>>('/providers/metadata')
  expect(body['api_key']?.[name]).toMatchObject({ id: providerId, scopes: [] })
})

test('a removed profile keeps its connections, and ?disconnect=true ends them', async ({ broker, database }) => {
  const { connection_id: id, providerId } = await connectStatic(broker)
  expect((await broker.send('DELETE', `/providers/${providerId}`)).status).toBe(204)
  expect(await readToken(broker, id)).toMatchObject({ status: 200, body: { strategy } })

  const disconnecting = await broker.send('DELETE', `/providers/${providerId}?disconnect=true`)
  expect(disconnecting).toMatchObject({ status: 202, body: { connections: 1 } })
  await expect.poll(() => hasToken(database.pool, id), { timeout: 20_000 }).toBe(false)
})
