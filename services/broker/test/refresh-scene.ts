import { randomUUID } from 'node:crypto'
import type { Exchange, Step, TestDatabase } from '@nexus/testing'
import { test as base } from '@nexus/testing/vitest'
import { expect, vi } from 'vitest'
import type { Database } from '../src/db/database.ts'
import type { Sql } from '../src/db/sql.ts'
import { connect, openPlainConnection } from './connection-scene.ts'
import { tokenRow } from './database-tools.ts'
import type { Scripted } from './handshake-scene.ts'
import { type Client, type TestBroker, startTestBroker } from './harness.ts'

type Pool = TestDatabase['pool']

/** `test` with one Broker per file that refreshes when it is asked to, and never of its own accord. */
export const test = base.extend('quiet', { scope: 'file' }, async ({ database }, { onCleanup }) => {
  const env = { AUTH_RATE_LIMIT_PER_MINUTE: '0', REFRESH_ENABLED: 'false' }
  const broker = await startTestBroker(database, { env })
  onCleanup(() => broker[Symbol.asyncDispose]())
  return broker
})

/** A Broker that refreshes what is due. Whatever hangs when the test ends is soon given up. */
export function startLoopingBroker(
  database: Pick<TestDatabase, 'url'>,
  env: Readonly<Record<string, string>> = {},
): Promise<TestBroker> {
  return startTestBroker(database, { env: { SHUTDOWN_GRACE_SECONDS: '3', ...env } })
}

/** A provider and `count` accounts connected there. */
export async function openConnections(
  broker: Client,
  count: number,
  ...options: Parameters<typeof openPlainConnection> extends [unknown, ...infer Rest] ? Rest : never
): Promise<{ readonly provider: Scripted; readonly ids: readonly string[] }> {
  const { provider, id } = await openPlainConnection(broker, ...options)
  const ids = [id]
  while (ids.length < count) ids.push(await connect(broker, provider))
  return { provider, ids }
}

/** Due since `seconds` ago; its last refresh, if any, is long past. */
export async function makeDue(pool: Pool, ids: string | readonly string[], seconds = 1): Promise<void> {
  await pool.query(
    `update tokens set refresh_at = now() - make_interval(secs => $2), next_attempt_at = null, last_refresh_at = null
      where connection_id = any ($1)`,
    [[ids].flat(), seconds],
  )
}

export async function waitForVersion(pool: Pool, id: string, version: number): Promise<void> {
  await vi.waitFor(async () => expect((await tokenRow(pool, id)).version).toBe(version), { timeout: 20_000 })
}

/**
 * Says that the loop had every occasion: a token that came due after everything else was refreshed by it, and then
 * another one. What has not been touched by then was left alone.
 */
export async function letLoopPass(broker: Client, pool: Pool): Promise<void> {
  const { ids } = await openConnections(broker, 2)
  for (const id of ids) {
    await makeDue(pool, id)
    await waitForVersion(pool, id, 2)
  }
}

/** As if a Broker had died after it had sent the refresh token, `secondsAgo`. */
export async function makeAbandoned(pool: Pool, ids: readonly string[], secondsAgo = 30): Promise<void> {
  await pool.query(
    `update tokens
        set lease_owner = $2, lease_epoch = lease_epoch + 1, lease_until = now() - interval '1 second',
            sent_epoch = lease_epoch + 1, sent_at = now() - make_interval(secs => $3)
      where connection_id = any ($1)`,
    [ids, randomUUID(), secondsAgo],
  )
}

/** Holds requests at a provider until the test lets them through, and counts how many stand there. */
export type Turnstile = {
  readonly step: Step
  readonly waitFor: (count: number) => Promise<void>
  readonly mostAtOnce: () => number
  readonly letOneThrough: () => void
  /** All that stand there, and all that come. */
  readonly open: () => void
}

export function createTurnstile(): Turnstile {
  const held: (() => void)[] = []
  let [inside, most, isOpen] = [0, 0, false]
  return {
    async step({ honest }: Exchange) {
      inside += 1
      most = Math.max(most, inside)
      if (!isOpen) await new Promise<void>((resolve) => void held.push(resolve))
      inside -= 1
      return honest()
    },
    waitFor: (count) => vi.waitFor(() => expect(held.length).toBe(count), { timeout: 20_000 }),
    mostAtOnce: () => most,
    letOneThrough: () => held.shift()?.(),
    open() {
      isOpen = true
      for (const release of held.splice(0)) release()
    },
  }
}

/** The sum of a metric over what has these labels. undefined: there is none. */
export async function readMetric(
  broker: Client,
  name: string,
  labels: Readonly<Record<string, string>> = {},
): Promise<number | undefined> {
  const { text } = await broker.get('/metrics')
  const wanted = Object.entries(labels).map(([label, value]) => `${label}="${value}"`)
  const values = text.split('\n').flatMap((line) => {
    const [, found, list = '', value] = /^(\w+)(?:\{(.*)\})? (\S+)$/.exec(line) ?? []
    return found === name && wanted.every((one) => list.split(',').includes(one)) ? [Number(value)] : []
  })
  return values.length === 0 ? undefined : values.reduce((sum, value) => sum + value, 0)
}

/** Calls `after` between the answer to each statement and whoever asked, who goes on when it is done. */
export function hookStatements(after: (statement: Sql) => Promise<void> | void): (real: Database) => Database {
  return (real) => ({
    ...real,
    async query<Row extends Record<string, unknown>>(statement: Sql) {
      const rows = await real.query<Row>(statement)
      await after(statement)
      return rows
    },
  })
}
