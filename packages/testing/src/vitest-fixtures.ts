import { inject, test as base } from 'vitest'
import { startRedis } from './redis.ts'
import { createTestDatabase } from './test-databases.ts'

/**
 * vitest's `test` with real peers, each made when a test of the file first asks for it:
 *
 * - `database`: a clone of the migrated template, dropped after the file; connections left open fail the file
 * - `emptyDatabase`: the same without any migration
 * - `redis`: a Redis server of the file's own
 */
export const test = base
  .extend('database', { scope: 'file' }, async ({}, { onCleanup }) => {
    const database = await createTestDatabase(inject('postgresUrl'), inject('postgresTemplate'))
    onCleanup(database.drop)
    return database
  })
  .extend('emptyDatabase', { scope: 'file' }, async ({}, { onCleanup }) => {
    const database = await createTestDatabase(inject('postgresUrl'))
    onCleanup(database.drop)
    return database
  })
  .extend('redis', { scope: 'file' }, async ({}, { onCleanup }) => {
    const redis = await startRedis()
    onCleanup(() => redis[Symbol.asyncDispose]())
    return redis
  })
