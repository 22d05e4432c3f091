import type { TestDatabase } from '@nexus/testing'
import { test as base } from '@nexus/testing/vitest'
import { expect } from 'vitest'
import { countConnections } from '../src/connections/count-connections.ts'
import { type ConnectionFilter, selectConnections } from '../src/connections/store.ts'
import type { Queryable } from '../src/db/database.ts'
import { countLivingConnections, selectZones } from '../src/zones/store.ts'

/** 20,000 connections of two zones; five of each want attention, and as many wait and have waited too long. */
const test = base.extend('filled', { scope: 'file' }, async ({ database: { pool } }) => {
  await pool.query(
    `insert into provider_profiles (id, name, auth_type, zones, settings)
     values ('00000000-0000-7000-8000-000000000101', 'provider', 'oauth2', '{}', '{}')`,
  )
  await pool.query(`insert into zones (name) values ('sales')`)
  await pool.query(
    `insert into connections (id, zone, workspace_id, provider_id, status, scopes, metadata, pending_until, created_at)
     select gen_random_uuid(), case when n % 2 = 0 then 'root' else 'sales' end, n::text, p.id,
            case when n % 2000 in (3, 4) then 'attention_required' when n % 2000 in (5, 6, 7, 8) then 'pending'
                 else 'active' end,
            '{}', json_build_object('note', repeat('x', 500)), now() + case when n % 2000 < 7 then interval '1 hour' else interval '-1 hour' end,
            now() - make_interval(secs => n)
       from generate_series(1, 20000) n, provider_profiles p`,
  )
  await pool.query(
    `insert into tokens (connection_id, provider_id, credentials, key_id, version, has_refresh_token, issued_at)
     select id, provider_id, decode(repeat('ab', 400), 'hex'), '\\x01020304', 1, true, now() from connections`,
  )
  await pool.query('vacuum analyze')
  return pool
})

/** The plan of a statement, carried out, with how many pages it read. */
async function explain(pool: TestDatabase['pool'], act: (database: Queryable) => Promise<unknown>) {
  const plans: { plan: string; pages: number }[] = []
  await act({
    async query({ text, values }) {
      const { rows } = await pool.query<{ 'QUERY PLAN': string }>(
        `explain (analyze, buffers, costs off, timing off, summary off) ${text}`,
        [...values],
      )
      const plan = rows.map((row) => row['QUERY PLAN']).join('\n')
      const [, hit = '0'] = /Buffers: shared hit=(\d+)/.exec(plan) ?? []
      const [, read = '0'] = /Buffers: shared (?:hit=\d+ )?read=(\d+)/.exec(plan) ?? []
      plans.push({ plan, pages: Number(hit) + Number(read) })
      return []
    },
  })
  const [only] = plans
  if (only === undefined) throw new Error('nothing was asked')
  return only
}

const everything: ConnectionFilter = {
  workspaceId: undefined,
  provider: undefined,
  status: undefined,
  zone: undefined,
  zones: undefined,
  after: undefined,
  limit: 51,
}

test.for([
  ['attention_required', 'every zone', undefined],
  ['attention_required', 'one zone', ['sales']],
  ['pending', 'every zone', undefined],
  ['expired', 'every zone', undefined],
  ['failed', 'every zone', undefined],
  ['active', 'every zone', undefined],
] as const)('a page of those that are %s in %s is found without reading the others', async (row, { filled }) => {
  const [status, , zones] = row
  const { plan, pages } = await explain(filled, (database) =>
    selectConnections(database, { ...everything, status, zones }),
  )
  expect(plan).not.toContain('Seq Scan on connections')
  // a row of its own for each that is listed, and what leads there
  expect(pages, plan).toBeLessThan(400)
})

test('connections are counted by an index alone', async ({ filled }) => {
  for (const count of [
    (database: Queryable) => countLivingConnections(database, 'sales'),
    (database: Queryable) => selectZones(database, { names: undefined, after: undefined, limit: 10 }),
    (database: Queryable) => countConnections(database, ['sales']),
    (database: Queryable) => countConnections(database),
  ]) {
    const { plan } = await explain(filled, count)
    expect(plan).toContain('Index Only Scan using connections_zone_status')
    expect(plan).not.toContain('Seq Scan on connections')
  }
})
