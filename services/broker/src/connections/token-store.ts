import type { ConnectionStatus } from '@nexus/contracts'
import type { Queryable } from '../db/database.ts'
import { prepared, sql } from '../db/sql.ts'
import type { StaticSettings } from '../providers/static-strategy.ts'
import type { SecretVault } from '../vault/secret-vault.ts'
import { type CredentialSet, hasRefreshToken, sealCredentials } from './credential-set.ts'
import { effectiveStatus } from './store.ts'

/** Seconds from now, by the database's clock. */
export type TokenTimes = {
  /** Since the provider was asked. */
  readonly ageSeconds: number
  /** undefined: never expires, as far as anybody said. */
  readonly expiresInSeconds: number | undefined
  /** undefined: never refreshed ahead. */
  readonly refreshInSeconds: number | undefined
}

export type TokenWrite = {
  readonly connectionId: string
  readonly providerId: string
  readonly credentials: CredentialSet
  readonly times: TokenTimes
}

export async function insertToken(transaction: Queryable, vault: SecretVault, write: TokenWrite): Promise<void> {
  const { sealed, keyId } = sealCredentials(vault, write.connectionId, 1, write.credentials)
  const { ageSeconds, expiresInSeconds, refreshInSeconds } = write.times
  await transaction.query(sql`
    insert into tokens (connection_id, provider_id, credentials, key_id, version, has_refresh_token, issued_at, expires_at, refresh_at)
    values (${write.connectionId}::uuid, ${write.providerId}::uuid, ${sealed}::bytea, ${keyId}::bytea, 1,
            ${hasRefreshToken(write.credentials)}::boolean,
            now() - make_interval(secs => ${ageSeconds}::float8),
            now() + make_interval(secs => ${expiresInSeconds ?? null}::float8),
            now() + make_interval(secs => ${refreshInSeconds ?? null}::float8))`)
}

/** What a read decides by. All times are the database's. */
export type ReadableToken = {
  readonly connectionId: string
  readonly zone: string
  readonly providerId: string
  readonly providerName: string
  readonly exposesIdToken: boolean
  /** Of a profile whose credentials are typed in: how agents use them. */
  readonly staticSettings: StaticSettings | null
  readonly status: ConnectionStatus
  readonly statusReason: string | null
  readonly sealed: Buffer | null
  readonly keyId: Buffer | null
  readonly version: number | null
  readonly hasRefreshToken: boolean | null
  readonly expiresAt: Date | null
  readonly secondsLeft: number | null
  readonly lifetimeSeconds: number | null
  readonly retryInSeconds: number | null
}

export type ReadableTokens = {
  /** The database's time of this look, to the microsecond. */
  readonly at: string
  readonly byConnection: ReadonlyMap<string, ReadableToken>
}

/** One look at all connections of a batch. */
export async function selectReadableTokens(database: Queryable, ids: readonly string[]): Promise<ReadableTokens> {
  const rows = await database.query<ReadableToken & { readonly at: string }>(
    prepared(
      'readable-tokens',
      sql`
    select n.at::text as "at", c.id as "connectionId", c.zone as "zone", c.provider_id as "providerId", p.name as "providerName",
           coalesce((p.settings->>'expose_id_token')::boolean, false) as "exposesIdToken",
           case when p.auth_type <> 'oauth2'
                then json_build_object('auth_type', p.auth_type, 'params', coalesce((p.settings->'params')::jsonb, '{}') - 'credential_schema')
           end as "staticSettings",
           ${effectiveStatus} as "status", c.status_reason as "statusReason",
           t.credentials as "sealed", t.key_id as "keyId", t.version as "version", t.has_refresh_token as "hasRefreshToken",
           t.expires_at as "expiresAt",
           extract(epoch from t.expires_at - n.at)::float8 as "secondsLeft",
           extract(epoch from t.expires_at - t.issued_at)::float8 as "lifetimeSeconds",
           extract(epoch from t.next_attempt_at - n.at)::float8 as "retryInSeconds"
      from (select now() as at) n
     cross join unnest(${ids}::uuid[]) as asked (id)
      left join connections c on c.id = asked.id
      left join provider_profiles p on p.id = c.provider_id
      left join tokens t on t.connection_id = c.id`,
    ),
  )
  const found = rows.filter((row) => row.connectionId !== null)
  return { at: rows[0]?.at ?? '', byConnection: new Map(found.map((row) => [row.connectionId, row])) }
}
