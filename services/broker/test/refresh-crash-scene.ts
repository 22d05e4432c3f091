import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { type BehaviourChange, type TestDatabase, freePort, spawnService } from '@nexus/testing'
import { test as base } from '@nexus/testing/vitest'
import type { CheckpointName } from '../src/refresher/checkpoint.ts'
import { type Connected, openPlainConnection } from './connection-scene.ts'
import { eventually, tokenRow } from './database-tools.ts'
import { type Answer, type Client, brokerEnvironment, createClient, fileKeys, startTestBroker } from './harness.ts'
import { connectionOf } from './handshake-scene.ts'

type Pool = TestDatabase['pool']

/** For tests that start processes, on machines that do other things too. */
export const timeout = 60_000

/** `test` with one Broker per file that refreshes nothing of its own accord: what happens is what a test begins. */
export const test = base.extend('broker', { scope: 'file' }, async ({ database }, { onCleanup }) => {
  const env = { AUTH_RATE_LIMIT_PER_MINUTE: '0', REFRESH_ENABLED: 'false' }
  const broker = await startTestBroker(database, { env })
  onCleanup(() => broker[Symbol.asyncDispose]())
  return broker
})

/** What providers do with a refresh token that was used. */
export const policies = {
  grace: { graceSeconds: 60 },
  strict: { graceSeconds: 0, onReuse: 'revoke-family' },
  constant: { refreshTokens: 'constant' },
} as const satisfies Readonly<Record<string, NonNullable<BehaviourChange['token']>>>

/** An account connected at a provider of each policy. */
export async function openOfEachPolicy(broker: Client): Promise<Readonly<Record<keyof typeof policies, Connected>>> {
  const [grace, strict, constant] = await Promise.all([
    openPlainConnection(broker, policies.grace),
    openPlainConnection(broker, policies.strict),
    openPlainConnection(broker, policies.constant),
  ])
  return { grace, strict, constant }
}

const entry = fileURLToPath(new URL('broker-with-checkpoints.ts', import.meta.url))

/** A Broker in a process of its own that kills or stops itself when the refreshes of all `ids` stand at `point`. */
export async function spawnDoomedBroker(
  database: Pick<TestDatabase, 'url'>,
  deed: 'kill' | 'stop',
  point: CheckpointName,
  ids: readonly string[],
) {
  const port = await freePort()
  const env = brokerEnvironment(database.url, fileKeys, port, { REFRESH_ENABLED: 'false' })
  const args = [deed, point, ids.join(',')]
  const service = await spawnService({ entry, args, env, port, ready: { path: '/health/ready' } })
  return { ...service, ...createClient(service.url, fileKeys) }
}

/** Demands a refresh. @returns undefined where the Broker died meanwhile */
export function refreshNow(broker: Client, id: string): Promise<Answer<{ access_token?: string }> | undefined> {
  return broker.post<{ access_token?: string }>(`/connections/${id}/refresh`).catch(() => undefined)
}

/** Waits until a process stands still. */
export function untilStopped({ pid }: { readonly pid: number }): Promise<true> {
  return eventually(`process ${pid} stands still`, async () => {
    const { stdout } = await promisify(execFile)('ps', ['-o', 'stat=', '-p', String(pid)])
    return stdout.trim().startsWith('T') ? true : undefined
  })
}

/** As if half a minute had passed since the leases were taken: they have lapsed. */
export async function passLeases(pool: Pool, ids: readonly string[]): Promise<void> {
  await pool.query(
    `update tokens set lease_until = lease_until - interval '30 s', sent_at = sent_at - interval '30 s'
      where connection_id = any ($1::uuid[])`,
    [ids],
  )
}

export async function makeDue(pool: Pool, ids: readonly string[]): Promise<void> {
  await pool.query(
    `update tokens set refresh_at = now(), next_attempt_at = null where connection_id = any ($1::uuid[])`,
    [ids],
  )
}

/** Waits until the token is refreshed, or its user needed. */
export function untilSettled(broker: Client, pool: Pool, id: string): Promise<true> {
  return eventually(`the refresh of ${id} is settled`, async () => {
    const { version } = await tokenRow(pool, id)
    return version > 1 || (await connectionOf(broker, id)).status !== 'active' ? true : undefined
  })
}

export function newestAccessToken({ provider }: Connected): string | undefined {
  return provider.secrets().findLast((secret) => secret.startsWith('access-'))
}

/** How often refreshed tokens were dropped, as the Broker's metrics tell. */
export async function leasesLost(broker: Client): Promise<number> {
  const { text } = await broker.get('/metrics')
  return Number(/^nexus_refresh_leases_lost_total\S* (\d+)$/m.exec(text)?.[1])
}
