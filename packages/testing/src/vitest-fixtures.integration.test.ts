import { inject, expect } from 'vitest'
import { createTestDatabase, runOnServer } from './test-databases.ts'
import { test } from './vitest-fixtures.ts'

test('the clone and the empty database are two databases of their own', async ({ database, emptyDatabase }) => {
  const names = await Promise.all(
    [database, emptyDatabase].map(({ pool }) => pool.query('select current_database() n')),
  )
  expect(names.map(({ rows }) => rows[0].n)).toEqual([database.name, emptyDatabase.name])
  const { rows } = await emptyDatabase.pool.query("select * from pg_tables where schemaname = 'public'")
  expect(rows).toEqual([])
})

test('the database stays the same within a file', async ({ database }) => {
  const { rows } = await database.pool.query('select count(*)::int n from pg_database where datname = $1', [
    database.name,
  ])
  expect(rows[0].n).toBe(1)
})

test('a connection left open fails the drop, in words, and the database is gone all the same', async () => {
  const database = await createTestDatabase(inject('postgresUrl'))
  const { default: pg } = await import('pg')
  const forgotten = new pg.Client({ connectionString: database.url, application_name: 'forgetful' })
  // the drop ends it
  forgotten.on('error', () => undefined)
  await forgotten.connect()
  await forgotten.query('select 42')
  await expect(database.drop()).rejects.toThrow(/1 connections .* left open:\nforgetful \(idle\): select 42/)
  const { rows } = await runOnServer(inject('postgresUrl'), 'select 1 from pg_database where datname = $1', [
    database.name,
  ])
  expect(rows).toEqual([])
})

test('redis answers, and its dump shows every kind of value', async ({ redis }) => {
  const { Redis } = await import('ioredis')
  const client = new Redis(redis.url)
  await client.set('a', 'plain')
  await client.hset('b', 'field', 'hashed')
  await client.rpush('c', 'listed')
  await client.sadd('d', 'member')
  await client.zadd('e', 1, 'ranked')
  await client.xadd('f', '*', 'field', 'streamed')
  client.disconnect()
  for (const value of ['plain', 'hashed', 'listed', 'member', 'ranked', 'streamed']) {
    expect(await redis.dump()).toContain(value)
  }
  await redis.flush()
  expect(await redis.dump()).toBe('')
})
