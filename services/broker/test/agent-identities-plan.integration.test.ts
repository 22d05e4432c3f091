import { randomBytes } from 'node:crypto'
import { test } from '@nexus/testing/vitest'
import { expect, onTestFinished } from 'vitest'
import { type MintedToken, mintAgentToken } from '../src/agents/agent-token.ts'
import { createIdentities } from '../src/agents/identities.ts'
import type { Queryable } from '../src/db/database.ts'
import type { Sql } from '../src/db/sql.ts'
import { openTestDatabase } from './database-tools.ts'

type Pool = {
  readonly query: (text: string, values?: readonly unknown[]) => Promise<{ readonly rows: readonly unknown[] }>
}

const zones = Array.from({ length: 1_000 }, (_, n) => `team-${n}`)

/** Among ten thousand random lookups two are alike one time in a hundred: these are distinct. */
function mintDistinct(count: number): readonly MintedToken[] {
  const minted = new Map<string, MintedToken>()
  while (minted.size < count) {
    const token = mintAgentToken('team', `agent-${minted.size}`, randomBytes)
    minted.set(token.lookup, token)
  }
  return [...minted.values()]
}

/** Ten thousand tokens in a thousand zones, two zones each. */
async function seedTokens(pool: Pool): Promise<readonly string[]> {
  const minted = mintDistinct(10_000)
  await pool.query('insert into zones (name) select unnest($1::text[])', [zones])
  await pool.query(
    `insert into agent_tokens (id, first_zone, name, owner, lookup, token_hash, prefix, is_admin, changed_seq)
     select gen_random_uuid(), zone, prefix, prefix, lookup, hash, prefix, false, 0
       from unnest($1::text[], $2::text[], $3::bytea[], $4::text[]) as t (zone, lookup, hash, prefix)`,
    [
      minted.map((_, n) => zones[n % 1_000]),
      minted.map(({ lookup }) => lookup),
      minted.map(({ hash }) => hash),
      minted.map(({ prefix }) => prefix),
    ],
  )
  await pool.query(
    `insert into agent_token_zones (token_id, zone, permissions, place)
     select id, first_zone, 'rw', 1 from agent_tokens union all select id, 'root', 'r', 2 from agent_tokens`,
  )
  await pool.query('analyze')
  return minted.map(({ token }) => token)
}

test('among 10,000 tokens in 1,000 zones a check is one indexed look, and from then on none', async ({ database }) => {
  const tokens = await seedTokens(database.pool)
  const opened = openTestDatabase(database)
  onTestFinished(() => opened.close())
  const asked: Sql[] = []
  const watched: Queryable = {
    query(statement) {
      asked.push(statement)
      return opened.query(statement)
    },
  }
  const identities = createIdentities({
    database: watched,
    monotonicMs: () => performance.now(),
    noteUse: () => undefined,
    countCheck: () => undefined,
  })
  await identities.poll()
  const [token = ''] = tokens
  const agent = await identities.identify(token, undefined)
  expect([...agent.zones.keys()]).toEqual([zones[0], 'root'])
  expect(asked.map(({ name }) => name)).toEqual(['agent-changes', 'identities'])

  const [, look] = asked
  const { rows } = await database.pool.query<{ 'QUERY PLAN': string }>(`explain ${look?.text}`, [
    ...(look?.values ?? []),
  ])
  const plan = rows.map((row) => row['QUERY PLAN']).join('\n')
  expect(plan).toContain('agent_tokens_lookup_key')
  expect(plan).toContain('agent_token_zones_pkey')
  expect(plan).not.toMatch(/Seq Scan on agent_token/)

  const some = tokens.slice(0, 2_000)
  await Promise.all(some.map((one) => identities.identify(one, one)))
  // two thousand at once, in batches of 256
  expect(asked.length).toBeLessThan(2 + 12)
  const before = asked.length
  for (const one of some) await identities.identify(one, undefined)
  expect(asked.length, 'known by now').toBe(before)
})
