import { createKeyring, createVault } from '@nexus/crypto'
import type { TestDatabase } from '@nexus/testing'
import { createSecretVault } from '../src/vault/secret-vault.ts'
import { type Journey, type Scripted, consent, openLink } from './handshake-scene.ts'
import { type Answer, type Client, type Requested, appUrl, fileKeys } from './harness.ts'

type Fields = Readonly<Record<string, unknown>>
type Pool = TestDatabase['pool']

/** `POST /connections/:id/reconnect`, whatever is answered. */
export function reconnect(broker: Client, id: string, wanted: Fields = {}, key?: string): Promise<Answer<Requested>> {
  return broker.send<Requested>('POST', `/connections/${id}/reconnect`, {
    body: { return_url: appUrl, ...wanted },
    ...(key !== undefined && { headers: { 'idempotency-key': key } }),
  })
}

/** A link for the reconnect of a connection. */
export async function requestReconnect(broker: Client, id: string, wanted: Fields = {}): Promise<Requested> {
  const answer = await reconnect(broker, id, wanted)
  if (answer.status !== 200) throw new Error(`the reconnect was refused: ${answer.status} ${answer.text}`)
  return answer.body
}

/** A reconnect requested, its link opened and consented to: all but the last step, which the test makes. */
export async function travelAgain(broker: Client, id: string, wanted: Fields = {}): Promise<Journey> {
  const requested = await requestReconnect(broker, id, wanted)
  const departure = await openLink(requested.authUrl)
  return { ...departure, ...requested, state: departure.state, callback: await consent(departure) }
}

/** Access tokens, or refresh tokens, in the order in which the provider issued them. */
export function issued(provider: Pick<Scripted, 'secrets'>, kind: 'access' | 'refresh'): readonly string[] {
  return provider.secrets().filter((secret) => secret.startsWith(`${kind}-`))
}

const ownedByRefresh = ['lease_owner', 'lease_until', 'lease_epoch', 'sent_epoch', 'sent_at', 'attempt_epoch']

/** Everything of a connection and its token that a reconnect without success must leave alone: all but leases and reads. */
export async function everythingOf(pool: Pool, id: string): Promise<unknown> {
  const { rows } = await pool.query(
    `select to_jsonb(c) - 'last_used_at' as connection, to_jsonb(t) - $2::text[] as token
       from connections c left join tokens t on t.connection_id = c.id where c.id = $1`,
    [id, ownedByRefresh],
  )
  return rows[0]
}

const statements: Readonly<Record<string, string>> = {
  active: `update connections set status = 'active' where id = $1`,
  attention_required: `update connections set status = 'attention_required', status_reason = 'invalid_grant' where id = $1`,
  failed: `update connections set status = 'failed', status_reason = 'access_denied' where id = $1`,
  expired: `with moved as (update handshakes set expires_at = now() - interval '1 minute' where connection_id = $1)
    update connections set status = 'expired', pending_until = now() - interval '1 minute' where id = $1`,
  'expired, not yet swept': `with moved as (update handshakes set expires_at = now() - interval '1 minute' where connection_id = $1)
    update connections set pending_until = now() - interval '1 minute' where id = $1`,
  revoked: `with gone as (delete from tokens where connection_id = $1)
    update connections set status = 'revoked' where id = $1`,
}

/** Brings a connection into a status, as far as the database knows. */
export async function setStatus(pool: Pool, id: string, status: string): Promise<void> {
  await pool.query(statements[status] ?? '', [id])
}

/**
 * The tokens of a connection that are owed a revocation, or that somebody has revoked since: whether the Broker does so
 * at once is not for the tests of reconnecting to say.
 */
export async function owedTokens(pool: Pool, provider: Scripted, id: string): Promise<ReadonlySet<string>> {
  const vault = createSecretVault(
    createVault(createKeyring({ primary: Buffer.from(fileKeys.ENCRYPTION_KEY, 'base64') })),
    () => undefined,
  )
  const { rows } = await pool.query<{ id: string; tokens: Buffer }>(
    'select id, tokens from revocations where connection_id = $1',
    [id],
  )
  const sealed = rows.flatMap((row): string[] =>
    Object.values(JSON.parse(vault.open(row.tokens, { purpose: 'revocation', recordId: row.id, version: 1 }))),
  )
  // after the rows: one that is gone by now was asked for before
  const revoked = provider.requestsTo('revocation').map(({ form }) => form.get('token') ?? '')
  return new Set([...sealed, ...revoked])
}
