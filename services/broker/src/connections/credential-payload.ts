import type { CredentialPayload, OAuthCredentialPayload } from '@nexus/contracts'
import { AppError } from '@nexus/service'
import { buildStrategy } from '../providers/static-strategy.ts'
import type { CredentialSet, OAuthCredentials } from './credential-set.ts'
import type { ReadableToken } from './token-store.ts'

type PayloadFacts = Pick<
  ReadableToken,
  'expiresAt' | 'secondsLeft' | 'exposesIdToken' | 'providerId' | 'providerName' | 'staticSettings'
>

/**
 * The answer to an agent (contract.md, The credential payload). What is not named here stays in the vault (V5).
 * @throws AppError `internal` where the profile and what is stored are not of one kind
 */
export function toCredentialPayload(credentials: CredentialSet, facts: PayloadFacts): CredentialPayload {
  const { staticSettings, providerName: provider, providerId } = facts
  if (credentials.kind === undefined) return toOAuthPayload(credentials, facts)
  if (staticSettings === null) throw new AppError('internal', 'The profile does not say how its credentials are used.')
  const strategy = buildStrategy(staticSettings.auth_type, staticSettings.params)
  return { strategy, credentials: { ...credentials.values }, provider, provider_id: providerId }
}

function toOAuthPayload(credentials: OAuthCredentials, row: PayloadFacts): OAuthCredentialPayload {
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
    provider_id: row.providerId,
  }
}
