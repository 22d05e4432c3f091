import type { Queryable } from '../db/database.ts'
import { sql } from '../db/sql.ts'
import type { SecretVault } from '../vault/secret-vault.ts'

/** As sealed in the row: the refresh token goes first (P6). */
export type OwedTokens = { readonly refreshToken: string | undefined; readonly accessToken: string }

export type NewRevocation = {
  readonly id: string
  readonly connectionId: string
  readonly providerId: string
  readonly zone: string
  readonly tokens: OwedTokens
  readonly firstAttemptInSeconds: number
}

export async function insertRevocation(
  transaction: Queryable,
  vault: SecretVault,
  revocation: NewRevocation,
): Promise<void> {
  const { sealed, keyId } = vault.seal(JSON.stringify(revocation.tokens), revocationContext(revocation.id))
  await transaction.query(sql`
    insert into revocations (id, connection_id, provider_id, zone, tokens, key_id, next_attempt_at)
    values (${revocation.id}::uuid, ${revocation.connectionId}::uuid, ${revocation.providerId}::uuid,
            ${revocation.zone}::text, ${sealed}::bytea, ${keyId}::bytea,
            now() + make_interval(secs => ${revocation.firstAttemptInSeconds}::float8))`)
}

function revocationContext(id: string) {
  return { purpose: 'revocation', recordId: id, version: 1 } as const
}
