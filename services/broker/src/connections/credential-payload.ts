import type { CredentialPayload } from '@nexus/contracts'
import type { CredentialSet } from './credential-set.ts'
import type { ReadableToken } from './token-store.ts'

/** The answer to an agent (contract.md, The credential payload). What is not named here stays in the vault (V5). */
export function toCredentialPayload(
  credentials: CredentialSet,
  row: Pick<ReadableToken, 'expiresAt' | 'secondsLeft' | 'exposesIdToken' | 'providerName'>,
): CredentialPayload {
  const fields = {
    access_token: credentials.accessToken,
    token_type: credentials.tokenType,
    ...(credentials.scope !== undefined && { scope: credentials.scope }),
    expires_at: row.expiresAt?.toISOString() ?? null,
    ...(row.exposesIdToken && credentials.idToken !== undefined && { id_token: credentials.idToken }),
    ...(Object.keys(credentials.extra).length > 0 && { extra: credentials.extra }),
  }
  return {
    strategy: { type: 'oauth2' },
    credentials: fields,
    ...fields,
    expires_in: row.secondsLeft === null ? null : Math.max(0, Math.floor(row.secondsLeft)),
    provider: row.providerName,
  }
}
