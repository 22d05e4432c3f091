import type { Disconnected } from '@nexus/contracts'
import type { TestDatabase } from '@nexus/testing'
import type { Answer, Client } from './harness.ts'
import type { Scripted } from './handshake-scene.ts'
import { eventually } from './database-tools.ts'

type Pool = TestDatabase['pool']

export const answersDisconnected = {
  done: { revoked_at_provider: true, revocation: 'done' },
  nothing: { revoked_at_provider: false, revocation: 'done' },
  queued: { revoked_at_provider: false, revocation: 'queued' },
  unsupported: { revoked_at_provider: false, revocation: 'unsupported' },
} as const

export function disconnect(broker: Client, id: string): Promise<Answer<Disconnected>> {
  return broker.send<Disconnected>('DELETE', `/connections/${id}`)
}

/** What the provider was told to revoke, in this order: the type that was named, and the token. */
export function revokedAt(
  provider: Pick<Scripted, 'requestsTo'>,
): readonly (readonly [string | null, string | null])[] {
  return provider.requestsTo('revocation').map(({ form }) => [form.get('token_type_hint'), form.get('token')])
}

/** The newest token of each kind that a provider issued, as it has to be revoked. */
export function issuedTokens(provider: Pick<Scripted, 'secrets'>) {
  const newest = (kind: string) => provider.secrets().findLast((secret) => secret.startsWith(`${kind}-`)) ?? 'none'
  const refresh = ['refresh_token', newest('refresh')] as const
  const access = ['access_token', newest('access')] as const
  return { refresh, access, both: [refresh, access] }
}

export type RevocationRow = {
  readonly id: string
  readonly attempts: number
  readonly seconds_ahead: number
  readonly refresh_token_outcome: unknown
}

export async function revocationsOf(pool: Pool, connectionId: string): Promise<readonly RevocationRow[]> {
  const { rows } = await pool.query<RevocationRow>(
    `select id, attempts, extract(epoch from next_attempt_at - now())::float8 as seconds_ahead, refresh_token_outcome
       from revocations where connection_id = $1`,
    [connectionId],
  )
  return rows
}

/** As if the time of the next attempt had come. */
export async function makeDue(pool: Pool, connectionId: string): Promise<void> {
  await pool.query('update revocations set next_attempt_at = now() where connection_id = $1', [connectionId])
}

/** Waits until nothing of a connection is owed any more. */
export async function waitUntilSettled(pool: Pool, connectionId: string): Promise<void> {
  await eventually(`what ${connectionId} owes is settled`, async () =>
    (await revocationsOf(pool, connectionId)).length === 0 ? true : undefined,
  )
}

export async function hasToken(pool: Pool, connectionId: string): Promise<boolean> {
  return (await pool.query('select 1 from tokens where connection_id = $1', [connectionId])).rows.length > 0
}
