import type { ConnectionStatus } from '@nexus/contracts'
import type { Queryable } from '../db/database.ts'
import { sql } from '../db/sql.ts'
import type { SealedSecret, SecretVault } from '../vault/secret-vault.ts'
import type { ConnectedAccount } from './connection.ts'
import { type CredentialSet, hasRefreshToken, openCredentials, sealCredentials } from './credential-set.ts'
import { effectiveStatus } from './store.ts'
import type { TokenWrite } from './token-store.ts'

/** A connection that nobody else changes until the transaction ends. */
export type HeldConnection = {
  readonly zone: string
  readonly providerId: string
  readonly status: ConnectionStatus
  readonly scopes: readonly string[]
  readonly account: ConnectedAccount | undefined
  /** The app says who came back, at every link of this connection. */
  readonly completion: 'app' | null
}

export async function holdConnection(transaction: Queryable, id: string): Promise<HeldConnection | undefined> {
  const [row] = await transaction.query<
    Omit<HeldConnection, 'account'> & {
      readonly issuer: string | null
      readonly subject: string | null
      readonly label: string | null
    }
  >(sql`
    select c.zone as "zone", c.provider_id as "providerId", ${effectiveStatus} as "status", c.scopes as "scopes",
           c.completion as "completion",
           c.account_issuer as issuer, c.account_subject as subject, c.account_label as label
      from connections c
     where c.id = ${id}::uuid
       -- what refers to it may be written meanwhile: handshakes, tokens
       for no key update`)
  if (row === undefined) return undefined
  const { issuer, subject, label, ...rest } = row
  const account = issuer === null || subject === null ? undefined : { issuer, subject, label: label ?? undefined }
  return { ...rest, account }
}

/** The grant a connection has, sealed, which nobody else changes until the transaction ends. */
export type HeldToken = SealedSecret & { readonly version: number }

export async function holdToken(transaction: Queryable, connectionId: string): Promise<HeldToken | undefined> {
  const [row] = await transaction.query<HeldToken>(sql`
    select version, credentials as "sealed", key_id as "keyId"
      from tokens where connection_id = ${connectionId}::uuid
       for update`)
  return row
}

/** @throws AppError `vault_integrity`, `key_unavailable` */
export function openHeldToken(vault: SecretVault, connectionId: string, held: HeldToken): CredentialSet {
  return openCredentials(vault, connectionId, held.version, held)
}

/**
 * Writes the grant of a reconnect as this version, which is the one after that of the row held, or the first. All that is
 * known of refreshes concerns the grant that goes.
 */
export async function replaceToken(
  transaction: Queryable,
  vault: SecretVault,
  version: number,
  write: TokenWrite,
): Promise<void> {
  const { sealed, keyId } = sealCredentials(vault, write.connectionId, version, write.credentials)
  const { ageSeconds, expiresInSeconds, refreshInSeconds } = write.times
  const rows = await transaction.query(sql`
    insert into tokens as t (connection_id, provider_id, credentials, key_id, version, has_refresh_token, issued_at,
                             expires_at, refresh_at)
    values (${write.connectionId}::uuid, ${write.providerId}::uuid, ${sealed}::bytea, ${keyId}::bytea, ${version}::int,
            ${hasRefreshToken(write.credentials)}::boolean,
            now() - make_interval(secs => ${ageSeconds}::float8),
            now() + make_interval(secs => ${expiresInSeconds ?? null}::float8),
            now() + make_interval(secs => ${refreshInSeconds ?? null}::float8))
    on conflict (connection_id) do update
       set credentials = excluded.credentials, key_id = excluded.key_id, version = excluded.version,
           has_refresh_token = excluded.has_refresh_token, issued_at = excluded.issued_at,
           expires_at = excluded.expires_at, refresh_at = excluded.refresh_at,
           last_refresh_at = null, next_attempt_at = null, failure_count = 0,
           lease_owner = null, lease_until = null, lease_epoch = t.lease_epoch + 1,
           sent_epoch = null, sent_at = null, outcome_unknown = false, attempt_outcome = null, attempt_epoch = null
     where t.version = excluded.version - 1
    returning connection_id`)
  if (rows.length !== 1) throw new Error('the token was not held when it was replaced')
}
