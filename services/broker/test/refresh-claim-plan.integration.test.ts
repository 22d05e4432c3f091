import type { TestDatabase } from '@nexus/testing'
import { test as base } from '@nexus/testing/vitest'
import { expect } from 'vitest'
import type { Sql } from '../src/db/sql.ts'
import { type FreeSlots, claimAbandonedTokens, claimDueTokens } from '../src/refresher/claim-store.ts'

type Pool = TestDatabase['pool']

const owner = '00000000-0000-7000-8000-000000000001'
const provider = (n: number): string => `00000000-0000-7000-8000-00000000010${n}`
const [healthy, dead, waiting] = [provider(1), provider(2), provider(3)]

/**
 * 20,000 tokens: of each hundred one is due, twenty are due at a provider that is down, and ten wait for their next
 * attempt though their refresh was due long ago. Twenty were presented and not told about.
 */
const test = base.extend('filled', { scope: 'file' }, async ({ database: { pool } }) => {
  await pool.query(
    `insert into provider_profiles (id, name, auth_type, zones, settings)
     select id, 'provider-' || n, 'oauth2', '{}', '{}'
       from unnest($1::uuid[]) with ordinality as p (id, n)`,
    [[healthy, dead, waiting]],
  )
  await pool.query(
    `insert into connections (id, zone, workspace_id, provider_id, status, scopes, metadata, pending_until)
     select gen_random_uuid(), 'root', n::text, case when n % 5 = 0 then $2::uuid when n % 10 = 1 then $3::uuid else $1::uuid end,
            'active', '{}', '{}', now()
       from generate_series(1, 20000) n`,
    [healthy, dead, waiting],
  )
  await pool.query(
    `insert into tokens (connection_id, provider_id, credentials, key_id, version, has_refresh_token, issued_at, expires_at,
                         refresh_at, next_attempt_at, sent_epoch, sent_at, lease_until)
     select id, provider_id, decode(repeat('ab', 400), 'hex'), '\\x01020304', 1, true, now() - interval '1 hour',
            now() + interval '6 minutes',
            case when provider_id in ($1, $2) then now() - interval '1 hour'
                 when n % 100 = 2 then now() - interval '1 minute'
                 else now() + make_interval(secs => 3600 + n) end,
            case when provider_id = $2 then now() + make_interval(secs => 3600 + n) end,
            case when n % 1000 = 3 then 0 end, case when n % 1000 = 3 then now() - make_interval(secs => 30 + n / 1000) end,
            case when n % 1000 = 3 then now() - interval '5 s' end
       from (select c.*, c.workspace_id::int as n from connections c) c`,
    [dead, waiting],
  )
  await pool.query('vacuum analyze')
  return { pool }
})

// the provider that is down has no slots: its circuit is open
const free: FreeSlots = { usual: 32, byProvider: new Map([[dead, 0]]), total: 256 }

const planned = [
  ['with its values', ''],
  ['without them', 'generic_plan'],
] as const

type Claim = typeof claimDueTokens | typeof claimAbandonedTokens

/** The plan of a claim's own statement; nothing of what is carried out for it stays. */
async function explain(pool: Pool, claim: Claim, options = ''): Promise<string> {
  const lines: string[] = []
  const client = await pool.connect()
  try {
    await client.query('begin')
    await claim(
      {
        async query({ text, values }: Sql) {
          // a generic plan knows no values: what a connection may settle on after it has met the statement a few times
          const known = options === 'generic_plan' ? [] : [...values]
          const { rows } = await client.query<{ 'QUERY PLAN': string }>(
            `explain (costs off${options && `, ${options}`}) ${text}`,
            known,
          )
          lines.push(...rows.map((row) => row['QUERY PLAN']))
          return []
        },
      },
      owner,
      free,
    )
  } finally {
    await client.query('rollback')
    client.release()
  }
  return lines.join('\n')
}

test.for(planned)(
  'due tokens are found by their index alone, beside a fifth at a dead provider, planned %s',
  async ([, options], { filled: { pool } }) => {
    const plan = await explain(pool, claimDueTokens, options)
    expect(plan).toMatch(
      /Index Scan using tokens_due on tokens t_1\s+Index Cond: \(\(provider_id = p_1\.id\) AND \(GREATEST\(refresh_at, next_attempt_at\) <= now\(\)\)\)/,
    )
    expect(plan, 'it comes in the order that is wanted').not.toMatch(/Sort[^\n]*\n[^\n]*GREATEST/)
    expect(plan).not.toMatch(/Seq Scan on tokens|Bitmap/)
  },
)

test('no row is read that is not claimed: neither those at the dead provider nor those that wait for their turn', async ({
  filled: { pool },
}) => {
  const plan = await explain(pool, claimDueTokens, 'analyze, timing off, summary off, buffers off')
  const scans = [...plan.matchAll(/Index Scan using tokens_due on tokens t_1 \(actual rows=([\d.]+) loops=(\d+)\)/g)]
  const read = scans.reduce((sum, [, rows, loops]) => sum + Math.round(Number(rows) * Number(loops)), 0)
  expect(plan).toMatch(/^Update on tokens t \(actual rows=32\.00/)
  expect(read).toBe(32)
  expect(plan).not.toMatch(/Rows Removed by Filter/)
})

test.for(planned)(
  'abandoned tokens are found by the index of what was sent, planned %s',
  async ([, options], { filled: { pool } }) => {
    const plan = await explain(pool, claimAbandonedTokens, options)
    expect(plan.match(/Index Scan using tokens_sent on tokens/g)).toHaveLength(2)
    expect(plan).not.toMatch(/Seq Scan on tokens|Bitmap/)
  },
)

test('of what was abandoned no more is claimed of a provider than it has free slots, the longest abandoned first', async ({
  filled: { pool },
}) => {
  const database = { query: async <Row>({ text, values }: Sql) => (await pool.query(text, [...values])).rows as Row[] }
  const few = {
    usual: 3,
    byProvider: new Map([
      [dead, 0],
      [waiting, 3],
    ]),
    total: 256,
  }
  const claims = await claimAbandonedTokens(database, owner, few)
  const { rows } = await pool.query<{ id: string }>(
    'select connection_id as id from tokens where sent_epoch is not null order by sent_at limit 3',
  )
  expect(new Set(claims.map(({ connectionId }) => connectionId))).toEqual(new Set(rows.map(({ id }) => id)))
  expect(await claimAbandonedTokens(database, owner, { ...few, total: 2 }), 'and no more than in all').toHaveLength(2)
  await pool.query('update tokens set lease_until = sent_at where lease_owner = $1', [owner])
})
