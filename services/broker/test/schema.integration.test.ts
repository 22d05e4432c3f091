import { createTestDatabase } from '@nexus/testing'
import { test } from '@nexus/testing/vitest'
import { expect, inject } from 'vitest'
import { callCommand } from './broker-command.ts'
import { dumpSchema } from './schema-dump.ts'

test('the migrations make the schema of expected-schema.sql; vitest -u writes it anew', async ({ database }) => {
  await expect(await dumpSchema(database.pool)).toMatchFileSnapshot('expected-schema.sql')
})

test('undone and done again, the migrations make the same schema', async ({ database }) => {
  const again = await createTestDatabase(inject('postgresUrl'))
  await using _ = { [Symbol.asyncDispose]: again.drop }
  const migrate = (...args: string[]) => callCommand(['migrate', ...args], { DATABASE_URL: again.url })
  for (const args of [['up'], ['down', '--count', '99', '--yes'], ['up']]) {
    expect((await migrate(...args)).exitCode).toBe(0)
  }
  expect(await dumpSchema(again.pool)).toBe(await dumpSchema(database.pool))
})

test('every sealed column has an indexed key id beside it', async ({ database }) => {
  const { rows } = await database.pool.query<{ name: string; indexed: boolean }>(
    `select t.relname as name,
            exists (select from pg_index i join pg_attribute k on k.attrelid = t.oid and k.attnum = i.indkey[0]
                     where i.indrelid = t.oid and k.attname = 'key_id') as indexed
       from pg_class t join pg_attribute a on a.attrelid = t.oid
      where t.relnamespace = 'public'::regnamespace and t.relkind = 'r' and a.attname = 'key_id'
      order by t.relname`,
  )
  expect(rows).toEqual(
    ['encryption_keys', 'handshake_attempts', 'provider_profiles', 'revocations', 'tokens'].map((name) => ({
      name,
      indexed: true,
    })),
  )
})

test('whatever goes with a row that is deleted is found by an index', async ({ database }) => {
  const { rows } = await database.pool.query<{ reference: string; indexed: boolean }>(
    `select c.conname as reference,
            exists (select from pg_index i where i.indrelid = c.conrelid and i.indkey[0] = c.conkey[1]) as indexed
       from pg_constraint c
      where c.connamespace = 'public'::regnamespace and c.contype = 'f' and c.confdeltype = 'c'
      order by c.conname`,
  )
  expect(rows.length).toBeGreaterThan(0)
  expect(rows.filter(({ indexed }) => !indexed)).toEqual([])
})
