import { randomUUID } from 'node:crypto'
import { type TestDatabase, answers, createTestDatabase } from '@nexus/testing'
import { expect, inject, onTestFinished } from 'vitest'
import { ensurePartitions } from '../src/audit/partitions.ts'
import { openDatabase } from '../src/db/database.ts'
import { connect, openPlainConnection } from './connection-scene.ts'
import { whileLocked } from './database-tools.ts'
import { disconnect, makeDue, waitUntilSettled } from './disconnect-scene.ts'
import { makeKeys, readToken, requestConnection, startTestBroker } from './harness.ts'
import { auditOf, openLink, openProvider, test } from './handshake-scene.ts'

const dayMs = 86_400_000

async function partitionsOf(pool: TestDatabase['pool'], parent: string): Promise<readonly string[]> {
  const { rows } = await pool.query<{ name: string }>(
    'select inhrelid::regclass::text as name from pg_inherits where inhparent = $1::regclass order by 1',
    [parent],
  )
  return rows.map(({ name }) => name)
}

/** Starts a Broker and stops it: what it sweeps, it sweeps at its start. */
async function sweep(database: Pick<TestDatabase, 'url'>, env: Readonly<Record<string, string>> = {}): Promise<void> {
  await (await startTestBroker(database, { env }))[Symbol.asyncDispose]()
}

const stamp = (time: number): string => new Date(time).toISOString().slice(0, 10).replaceAll('-', '_')

test('partitions are made three months and fourteen days ahead, and both tables take rows to their end', async ({
  database,
}) => {
  const days = await partitionsOf(database.pool, 'audit_reads')
  expect(days).toHaveLength(15)
  const first = Date.parse((days[0] ?? '').slice('audit_reads_'.length).replaceAll('_', '-'))
  expect(Math.abs(Date.now() - first), 'the first one is today').toBeLessThan(2 * dayMs)
  expect(days).toEqual(days.map((_, n) => `audit_reads_${stamp(first + n * dayMs)}`))
  expect(await partitionsOf(database.pool, 'audit_events')).toHaveLength(4)
  for (const [table, ahead] of [
    ['audit_reads', '14 days'],
    ['audit_events', '85 days'],
  ]) {
    await database.pool.query(
      `insert into ${table} (id, at, event, outcome, actor_kind) values ($1, now() + $2::interval, 'x', 'x', 'system')`,
      [randomUUID(), ahead],
    )
  }
})

test('partitions that are missing are made at the start, by any number of Brokers at once', async ({ database }) => {
  const before = await partitionsOf(database.pool, 'audit_reads')
  for (const name of before.slice(3, 9)) await database.pool.query(`drop table ${name}`)
  const pools = Array.from({ length: 4 }, () =>
    openDatabase({
      url: database.url,
      maxConnections: 1,
      statementTimeoutMs: 10_000,
      applicationName: 'nexus-test',
      keepsPrepared: false,
      onIdleError: () => undefined,
    }),
  )
  onTestFinished(async () => void (await Promise.all(pools.map((pool) => pool.close()))))
  const made = await Promise.all(pools.map((pool) => ensurePartitions(pool)))
  expect(made.flat().toSorted()).toEqual(before.slice(3, 9))
  expect(await partitionsOf(database.pool, 'audit_reads')).toEqual(before)
})

test('readiness warns when partitions run out, and the metric counts the days', async () => {
  const database = await createTestDatabase(inject('postgresUrl'), inject('postgresTemplate'))
  onTestFinished(database.drop)
  // a table in the place of a partition keeps the sweeper from making it
  for (const name of (await partitionsOf(database.pool, 'audit_reads')).slice(3)) {
    await database.pool.query(`drop table ${name}; create table ${name} (wrong integer)`)
  }
  await using broker = await startTestBroker(database, { keys: makeKeys() })
  expect(await broker.get('/health/ready')).toMatchObject({
    status: 200,
    body: { status: 'ready', audit_partitions: 'only 2 days ahead' },
  })
  expect((await broker.get('/metrics')).text).toMatch(/nexus_audit_partition_days_ahead\{[^}]*\} 2\n/)
  const warned = broker.logs.lines().filter(({ msg }) => String(msg).startsWith('housekeeping failed'))
  expect(warned).toMatchObject([{ level: 'warn', job: 'make audit partitions' }])
})

test('what is over is written down as expired, and what it no longer needs is forgotten', async ({
  broker,
  database,
}) => {
  const { pool } = database
  const provider = await openProvider(broker)
  const [fresh, stale, old] = [
    await requestConnection(broker, { provider_name: provider.name }),
    await requestConnection(broker, { provider_name: provider.name }),
    await requestConnection(broker, { provider_name: provider.name }),
  ]
  for (const { authUrl } of [fresh, stale, old]) await openLink(authUrl)
  const age = async (id: string, past: string): Promise<void> => {
    await pool.query('update connections set pending_until = now() - $2::interval where id = $1', [id, past])
    await pool.query('update handshakes set expires_at = now() - $2::interval where connection_id = $1', [id, past])
    await pool.query(
      `update handshake_attempts set expires_at = now() - $2::interval
        where handshake_id in (select id from handshakes where connection_id = $1)`,
      [id, past],
    )
  }
  await age(stale.connection_id, '1 minute')
  await age(old.connection_id, '25 hours')
  await sweep(database)

  const look = async (id: string) => {
    const { rows } = await pool.query(
      `select c.status, count(h.id)::int as links, count(a.id)::int as attempts, count(a.secrets)::int as secrets
         from connections c left join handshakes h on h.connection_id = c.id left join handshake_attempts a on a.handshake_id = h.id
        where c.id = $1 group by c.id`,
      [id],
    )
    return rows[0]
  }
  expect(await look(fresh.connection_id)).toEqual({ status: 'pending', links: 1, attempts: 1, secrets: 1 })
  expect(await look(stale.connection_id), '[H5] its secrets are gone').toEqual({
    status: 'expired',
    links: 1,
    attempts: 1,
    secrets: 0,
  })
  expect(await look(old.connection_id)).toEqual({ status: 'expired', links: 0, attempts: 0, secrets: 0 })
})

test('Idempotency-Keys are kept for a day', async ({ broker, database }) => {
  const provider = await openProvider(broker)
  const ask = (key: string) =>
    broker.post<{ connection_id: string }>(
      '/auth/consent-spec',
      { workspace_id: 'u', provider_name: provider.name },
      { headers: { 'idempotency-key': key } },
    )
  const [young, old] = [await ask('young-key'), await ask('old-key')]
  await database.pool.query(
    `update idempotency_keys set created_at = now() - interval '24 hours 1 second' where connection_id = $1`,
    [old.body.connection_id],
  )
  await sweep(database)
  const { rows } = await database.pool.query('select connection_id from idempotency_keys')
  expect(rows).toEqual([{ connection_id: young.body.connection_id }])
  expect((await ask('young-key')).body.connection_id).toBe(young.body.connection_id)
  expect((await ask('old-key')).body.connection_id).not.toBe(old.body.connection_id)
})

test('a sweep passes over rows that somebody holds, and waits for nobody', async ({ broker, database }) => {
  const provider = await openProvider(broker)
  const [held, free] = [
    await requestConnection(broker, { provider_name: provider.name }),
    await requestConnection(broker, { provider_name: provider.name }),
  ]
  const ids = [held.connection_id, free.connection_id]
  await database.pool.query(`update connections set pending_until = now() where id = any ($1)`, [ids])
  const holder = await database.pool.connect()
  await holder.query('begin')
  await holder.query('select from connections where id = $1 for update', [held.connection_id])
  try {
    await sweep(database)
    const { rows } = await database.pool.query(
      `select id, status from connections where id = any ($1) order by created_at, id`,
      [ids],
    )
    expect(rows).toEqual([
      { id: held.connection_id, status: 'pending' },
      { id: free.connection_id, status: 'expired' },
    ])
  } finally {
    await holder.query('rollback')
    holder.release()
  }
})

test('a sweep does all there is, in batches', async ({ broker, database }) => {
  const { pool } = database
  const provider = await openProvider(broker)
  const connectionId = (await requestConnection(broker, { provider_name: provider.name })).connection_id
  await pool.query(
    `insert into handshakes (id, connection_id, purpose, ticket_hash, profile_digest, expires_at)
     select gen_random_uuid(), $1, 'oauth', sha256(n::text::bytea), '', now() - interval '25 hours' from generate_series(1, 2500) n`,
    [connectionId],
  )
  const { rows } = await pool.query<{ id: string }>(
    `insert into handshakes (id, connection_id, purpose, ticket_hash, profile_digest, expires_at)
     values ($1, $2, 'oauth', '', '', now() + interval '1 hour') returning id`,
    [randomUUID(), connectionId],
  )
  await pool.query(
    `insert into handshake_attempts (id, handshake_id, jti_hash, cookie_hash, redirect_uri, secrets, key_id, expires_at)
     select gen_random_uuid(), $1, sha256(n::text::bytea), '', '', 'x', (select key_id from encryption_keys),
            now() + case when n <= 2500 then interval '-1 second' else interval '1 hour' end
       from generate_series(1, 2501) n`,
    [rows[0]?.id],
  )
  await pool.query(
    `insert into idempotency_keys (caller, key_hash, body_hash, connection_id, created_at)
     select 'caller', sha256(n::text::bytea), '', $1,
            now() - case when n <= 2500 then interval '25 hours' else interval '23 hours' end
       from generate_series(1, 2501) n`,
    [connectionId],
  )
  await sweep(database)
  const { rows: left } = await pool.query(
    `select count(distinct h.id)::int as handshakes, count(a.secrets)::int as secrets, count(a.id)::int as attempts,
            (select count(*)::int from idempotency_keys where connection_id = $1) as keys
       from handshakes h left join handshake_attempts a on a.handshake_id = h.id
      where h.connection_id = $1 and h.profile_digest = ''`,
    [connectionId],
  )
  expect(left).toEqual([{ handshakes: 1, secrets: 1, attempts: 2501, keys: 1 }])
})

test('what is over for PURGE_AFTER_DAYS is deleted with all that hangs on it, and what is owed of it stays', async ({
  broker,
  database,
}) => {
  const { pool } = database
  const { provider, id: active } = await openPlainConnection(broker)
  const [revoked, recent] = [await connect(broker, provider), await connect(broker, provider)]
  provider.always('revocation', answers.serverError(503, 3_000))
  for (const id of [revoked, recent]) await disconnect(broker, id)
  const ask = async () => (await requestConnection(broker, { provider_name: provider.name })).connection_id
  const [failed, expired, pending, attention] = [await ask(), await ask(), await ask(), await ask()]
  const over = { revoked, failed, expired }
  const kept = { active, recent, pending, attention }
  await pool.query(
    `update connections set status = case id when $1 then 'failed' when $2 then 'expired' else 'attention_required' end
      where id in ($1, $2, $3)`,
    [failed, expired, attention],
  )
  const age = (ids: readonly string[], interval: string) =>
    pool.query('update connections set updated_at = now() - $2::interval, last_used_at = now() where id = any ($1)', [
      ids,
      interval,
    ])
  // nobody is on the way to reconnect them
  await pool.query(`update handshakes set expires_at = now() - interval '20 minutes'`)
  await age(Object.values(over), '90 days 1 minute')
  await age([active, pending, attention], '400 days')
  await age([recent], '89 days 23 hours')
  await sweep(database)

  const { rows } = await pool.query<{ id: string }>('select id from connections where provider_id = $1', [
    provider.providerId,
  ])
  expect(rows.map(({ id }) => id).toSorted()).toEqual(Object.values(kept).toSorted())
  const hanging = await pool.query('select 1 from handshakes where connection_id = any ($1)', [Object.values(over)])
  expect(hanging.rows).toEqual([])
  expect(await readToken(broker, revoked)).toMatchObject({ status: 404 })

  provider.always('revocation', undefined)
  await makeDue(pool, revoked)
  await waitUntilSettled(pool, revoked)
  expect(await auditOf(broker, revoked)).toContain('revocation.done success')
})

test('a purge goes on in batches, and waits for nobody', async ({ broker, database }) => {
  const { pool } = database
  const { providerId } = await openProvider(broker)
  await pool.query(
    `insert into connections (id, zone, workspace_id, provider_id, status, scopes, metadata, pending_until, updated_at)
     select gen_random_uuid(), 'root', 'many', $1, 'failed', '{}', '{}', now(), now() - interval '100 days' - make_interval(mins => n)
       from generate_series(1, 1201) n`,
    [providerId],
  )
  const count = async () =>
    (await pool.query('select updated_at from connections where provider_id = $1', [providerId])).rows
  const [newest] = (
    await pool.query('select id from connections where provider_id = $1 order by updated_at desc limit 1', [providerId])
  ).rows
  await whileLocked(pool, `select from connections where id = '${newest.id}' for update`, async () => {
    await sweep(database)
    expect(await count(), 'the one that somebody holds').toHaveLength(1)
  })
  await sweep(database)
  expect(await count()).toEqual([])
})

test('PURGE_AFTER_DAYS is what the operator says', async ({ broker, database }) => {
  const provider = await openProvider(broker)
  const { connection_id: id } = await requestConnection(broker, { provider_name: provider.name })
  await database.pool.query(
    `update connections set status = 'failed', updated_at = now() - interval '25 hours' where id = $1`,
    [id],
  )
  await database.pool.query(`update handshakes set outcome = 'error' where connection_id = $1`, [id])
  await sweep(database)
  expect((await broker.get(`/connections/${id}`)).status).toBe(200)
  await sweep(database, { PURGE_AFTER_DAYS: '1' })
  expect((await broker.get(`/connections/${id}`)).status).toBe(404)
})
