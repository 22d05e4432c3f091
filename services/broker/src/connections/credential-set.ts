import type { CredentialValue } from '@nexus/contracts'
import type { SealedSecret, SecretVault } from '../vault/secret-vault.ts'

/** All that a grant gave, as it is sealed. It is the only type with a refresh token, and it does not leave the Broker (V5). */
export type OAuthCredentials = {
  readonly kind?: undefined
  readonly accessToken: string
  readonly tokenType: string
  readonly refreshToken: string | undefined
  readonly idToken: string | undefined
  readonly scope: string | undefined
  readonly extra: Readonly<Record<string, unknown>>
}

/** What a person typed in, field by field. */
export type StaticCredentials = {
  readonly kind: 'static'
  readonly values: Readonly<Record<string, CredentialValue>>
}

export type CredentialSet = OAuthCredentials | StaticCredentials

/** For stores alone. @throws AppError `vault_integrity`, `key_unavailable` */
export function openCredentials(
  vault: SecretVault,
  connectionId: string,
  version: number,
  { sealed, keyId }: SealedSecret,
): CredentialSet {
  const credentials: CredentialSet = JSON.parse(vault.open(sealed, tokenContext(connectionId, version), keyId))
  return credentials
}

/** For stores alone: what comes out belongs to this connection and this version, and opens nowhere else. */
export function sealCredentials(
  vault: SecretVault,
  connectionId: string,
  version: number,
  credentials: CredentialSet,
): SealedSecret {
  return vault.seal(JSON.stringify(credentials), tokenContext(connectionId, version))
}

function tokenContext(connectionId: string, version: number) {
  return { purpose: 'token', recordId: connectionId, version } as const
}

/** Where nothing but a grant can lie. @throws Error for what a person typed in */
export function requireOAuth(credentials: CredentialSet): OAuthCredentials {
  if (credentials.kind === 'static') throw new Error('a credential that was typed in has no grant')
  return credentials
}

export function hasRefreshToken(credentials: CredentialSet): boolean {
  return credentials.kind === undefined && credentials.refreshToken !== undefined
}
