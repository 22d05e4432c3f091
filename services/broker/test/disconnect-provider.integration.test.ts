import { randomUUID } from 'node:crypto'
import { createKeyring, createVault } from '@nexus/crypto'
import { type TestDatabase, answers, createTestDatabase } from '@nexus/testing'
import { expect, inject, onTestFinished, vi } from 'vitest'
import { sealCredentials } from '../src/connections/credential-set.ts'
import { createSecretVault } from '../src/vault/secret-vault.ts'
import { connect } from './connection-scene.ts'
import { eventually, waitForBlocked, whileLocked } from './database-tools.ts'
import { disconnect, hasToken, revokedAt, waitUntilSettled } from './disconnect-scene.ts'
import {
  arrive,
  auditOf,
  connectionOf,
  eventsOf,
  openProvider,
  returned,
  send,
  test,
  travel,
} from './handshake-scene.ts'
import { type Client, type Keys, makeKeys, readToken, spawnTestBroker } from './harness.ts'

type Pool = TestDatabase['pool']
type Removed = { readonly connections: number }

function remove(broker: Client, path: string) {
  return broker.send<Removed>('DELETE', `/providers/${path}`)
}

async function waitUntilRevoked(broker: Client, id: string): Promise<void> {
  await vi.waitFor(async () => expect(await connectionOf(broker, id)).toMatchObject({ status: 'revoked' }), 15_000)
}

/** Active connections of a profile, as many as it would take long to make by hand; sealed as the Broker seals. */
async function seedConnections(pool: Pool, keys: Keys, providerId: string, count: number): Promise<readonly string[]> {
  const keyring = createKeyring({ primary: Buffer.from(keys.ENCRYPTION_KEY, 'base64') })
  const vault = createSecretVault(createVault(keyring), () => undefined)
  const ids = Array.from({ length: count }, () => randomUUID())
  await pool.query(
    `insert into connections (id, zone, workspace_id, provider_id, status, scopes, metadata, pending_until)
     select id, 'root', 'seeded', $1, 'active', '{read}', '{}', now() from unnest($2::uuid[]) as id`,
    [providerId, ids],
  )
  const sealed = ids.map((id) =>
    sealCredentials(vault, id, 1, {
      accessToken: `access-of-${id}`,
      tokenType: 'Bearer',
      refreshToken: `refresh-of-${id}`,
      idToken: undefined,
      scope: 'read',
      extra: {},
    }),
  )
  await pool.query(
    `insert into tokens (connection_id, provider_id, credentials, key_id, version, has_refresh_token, issued_at)
     select id, $1, credentials, key_id, 1, true, now()
       from unnest($2::uuid[], $3::bytea[], $4::bytea[]) as seeded (id, credentials, key_id)`,
    [providerId, ids, sealed.map((one) => one.sealed), sealed.map((one) => one.keyId)],
  )
  return ids
}

test('a removed profile takes its connections along where that is asked, and only its own', async ({
  broker,
  database: { pool },
}) => {
  const [doomed, other] = [await openProvider(broker), await openProvider(broker)]
  const [one, two, kept] = [await connect(broker, doomed), await connect(broker, doomed), await connect(broker, other)]
  const journey = await travel(broker, doomed)
  const over = await connect(broker, doomed)
  await disconnect(broker, over)
  const before = await eventsOf(broker, over)

  expect(await remove(broker, `${doomed.providerId}?disconnect=true`)).toMatchObject({
    status: 202,
    body: { connections: 3 },
  })
  expect((await broker.get(`/providers/${doomed.providerId}`)).status).toBe(404)
  for (const id of [one, two, journey.connection_id]) await waitUntilRevoked(broker, id)
  for (const id of [one, two]) {
    expect(await hasToken(pool, id)).toBe(false)
    await waitUntilSettled(pool, id)
    const disconnected = (await eventsOf(broker, id)).find(({ event }) => event === 'connection.disconnected')
    expect(disconnected).toMatchObject({
      actor_kind: 'system',
      data: { revocation: 'queued', cause: 'provider_deleted' },
    })
    expect(await auditOf(broker, id)).toContain('revocation.done success')
  }
  expect(new Set(revokedAt(doomed).map(([, token]) => token)).size, 'two tokens each').toBe(6)
  expect(await send(journey.authUrl)).toMatchObject({ status: 410 })
  expect(returned(await arrive(journey))).toMatchObject({ error: 'already_completed' })
  expect(await eventsOf(broker, over), 'what was over before stays as it was').toEqual(before)
  expect((await readToken(broker, kept)).status).toBe(200)

  await eventually('the request is fulfilled', async () => {
    const { rows } = await pool.query(
      'select 1 from provider_profiles where id = $1 and disconnect_requested_at is null',
      [doomed.providerId],
    )
    return rows.length === 1 ? true : undefined
  })
  const { body } = await broker.get<{ events: { provider_id: string; data: unknown }[] }>(
    '/audit?event_type=provider.deleted&limit=200',
  )
  expect(body.events.filter((event) => event.provider_id === doomed.providerId)).toMatchObject([
    { data: { name: doomed.name, disconnecting: 3 } },
  ])
})

test('by name and by alias too; without the parameter, or with false, all stays as it is', async ({ broker }) => {
  const named = await openProvider(broker, { profile: { aliases: ['doomed-alias'] } })
  const id = await connect(broker, named)
  expect(await remove(broker, 'by-name/doomed-ALIAS?disconnect=true')).toMatchObject({
    status: 202,
    body: { connections: 1 },
  })
  await waitUntilRevoked(broker, id)

  const quiet = await openProvider(broker)
  const living = await connect(broker, quiet)
  expect(await remove(broker, `by-name/${quiet.name}?disconnect=false`)).toMatchObject({ status: 204, text: '' })
  expect((await readToken(broker, living)).status).toBe(200)
  expect(await remove(broker, quiet.providerId), 'it is gone').toMatchObject({ status: 404 })

  expect(await remove(broker, `${quiet.providerId}?disconnect=true`), 'but not its connections').toMatchObject({
    status: 202,
    body: { connections: 1 },
  })
  await waitUntilRevoked(broker, living)
  expect(await remove(broker, `${quiet.providerId}?disconnect=true`)).toMatchObject({ body: { connections: 0 } })
})

test.for(['disconnect=1', 'disconnect=', 'disconnect=true&disconnect=true', 'force=true'])(
  'refused, and nothing is removed: ?%s',
  async (query, { broker }) => {
    const provider = await openProvider(broker)
    expect(await remove(broker, `${provider.providerId}?${query}`)).toMatchObject({
      status: 400,
      body: { code: 'invalid_request' },
    })
    expect((await broker.get(`/providers/${provider.providerId}`)).status).toBe(200)
    expect(await remove(broker, `${randomUUID()}?disconnect=true`)).toMatchObject({ status: 404 })
  },
)

test(
  '[R2] 250 connections over two Brokers, one of them killed halfway: all are disconnected, each of them once',
  { timeout: 90_000 },
  async () => {
    const database = await createTestDatabase(inject('postgresUrl'), inject('postgresTemplate'))
    onTestFinished(database.drop)
    const { pool } = database
    const keys = makeKeys()
    await using staying = await spawnTestBroker(database, { keys })
    await using dying = await spawnTestBroker(database, { keys })
    const provider = await openProvider(staying, { profile: { scopes: ['read'] } })
    const ids = await seedConnections(pool, keys, provider.providerId, 250)

    // a row in three is held, so that both of them come to a halt somewhere in the middle
    const some = `select from tokens where connection_id in (
      select connection_id from tokens where abs(hashtext(connection_id::text)) % 3 = 0) for update`
    await whileLocked(pool, some, async () => {
      expect(await remove(staying, `${provider.providerId}?disconnect=true`)).toMatchObject({
        status: 202,
        body: { connections: 250 },
      })
      // four at a time each
      await waitForBlocked(pool, 8)
      const { rows } = await pool.query(`select count(*)::int as n from connections where status = 'active'`)
      expect(rows[0]?.n, 'some are done, some are not').toBeGreaterThan(80)
      await dying.kill9()
    })
    await eventually(
      'all are disconnected and revoked',
      async () => {
        const { rows } = await pool.query(
          `select from connections where status <> 'revoked' union all select from tokens union all select from revocations`,
        )
        return rows.length === 0 ? true : undefined
      },
      60_000,
    )
    const { rows } = await pool.query<{ connection_id: string; disconnected: number; done: number }>(
      `select connection_id, (count(*) filter (where event = 'connection.disconnected'))::int as disconnected,
              (count(*) filter (where event = 'revocation.done'))::int as done
         from audit_events where connection_id is not null group by connection_id`,
    )
    expect(rows.map(({ connection_id }) => connection_id).toSorted()).toEqual(ids.toSorted())
    expect(rows.filter(({ disconnected, done }) => disconnected !== 1 || done !== 1)).toEqual([])
    const presented = new Set(revokedAt(provider).map(([, token]) => token))
    expect(ids.filter((id) => !presented.has(`refresh-of-${id}`) || !presented.has(`access-of-${id}`))).toEqual([])
    expect(provider.violations).toEqual([])
  },
)

test('one connection that cannot be disconnected keeps none of the others, and is tried again', async ({
  broker,
  database: { pool },
}) => {
  const provider = await openProvider(broker)
  const [held, free] = [await connect(broker, provider), await connect(broker, provider)]
  // whatever writes the record of this one fails
  await pool.query(`alter table audit_events add constraint held check (connection_id <> '${held}') not valid`)
  await remove(broker, `${provider.providerId}?disconnect=true`)
  await waitUntilRevoked(broker, free)
  await broker.logs.waitFor(
    (line) =>
      line['connection_id'] === held && String(line['msg']).startsWith('a connection could not be disconnected'),
  )
  expect((await readToken(broker, held)).status, 'it is as it was').toBe(200)
  await pool.query('alter table audit_events drop constraint held')
  await waitUntilRevoked(broker, held)
})

test('[P6] an exchange under way while its provider is removed: the grant is revoked', async ({ broker, database }) => {
  const provider = await openProvider(broker)
  const journey = await travel(broker, provider)
  const gate = answers.createGate('after')
  provider.next('token', gate.step)
  const arrival = arrive(journey)
  await gate.arrived
  await remove(broker, `${provider.providerId}?disconnect=true`)
  await waitUntilRevoked(broker, journey.connection_id)
  gate.open()
  expect(returned(await arrival)).toMatchObject({ status: 'error', error: 'already_completed' })
  await waitUntilSettled(database.pool, journey.connection_id)
  expect(revokedAt(provider)).toHaveLength(2)
})
