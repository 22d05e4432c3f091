import type { Queryable } from '../db/database.ts'
import type { TokenGrant } from '../oauth/provider-client.ts'
import { holdEndpoints } from '../providers/hold-endpoints.ts'
import type { OAuthProvider, Provider, StaticProvider } from '../providers/provider.ts'
import { type ScheduleSettings, refreshAfter } from '../refresher/schedule.ts'
import type { SecretVault } from '../vault/secret-vault.ts'
import * as store from './store.ts'
import type { CredentialSet, OAuthCredentials, StaticCredentials } from './credential-set.ts'
import { type TokenTimes, type TokenWrite, insertToken } from './token-store.ts'

export type NewPendingConnection = store.NewConnection

export function createPendingConnection(transaction: Queryable, connection: NewPendingConnection): Promise<void> {
  return store.insertPendingConnection(transaction, connection)
}

/** Pending or expired → pending. @returns false where something else became of the connection. */
export function prolongPendingConnection(transaction: Queryable, id: string, ttlSeconds: number): Promise<boolean> {
  return store.extendPendingConnection(transaction, id, ttlSeconds)
}

/** What a connection becomes active with, whether a provider granted it or a person typed it in. */
export type GrantedConnection = {
  readonly connectionId: string
  readonly provider: Provider
  readonly scopes: readonly string[]
  readonly grantedScopes: readonly string[]
  readonly account: TokenGrant['account']
  /** Takes the place of the connection's; undefined leaves it as it is. */
  readonly metadata: Readonly<Record<string, unknown>> | undefined
  readonly credentials: CredentialSet
  readonly times: TokenTimes
}

export type ProviderGrant = {
  readonly connectionId: string
  readonly provider: OAuthProvider
  readonly askedScopes: readonly string[]
  readonly metadata: Readonly<Record<string, unknown>> | undefined
  readonly grant: TokenGrant
  /** Parameters of the callback that the profile keeps for agents. */
  readonly callbackParams: Readonly<Record<string, unknown>>
}

export type TypedCredentials = {
  readonly connectionId: string
  readonly provider: StaticProvider
  readonly metadata: Readonly<Record<string, unknown>> | undefined
  readonly values: StaticCredentials['values']
}

export type GrantDeps = {
  readonly vault: SecretVault
  readonly schedule: ScheduleSettings
  readonly monotonicMs: () => number
}

/** What became of a grant. Refused, nothing of it was written; `isOwed`: its tokens are to be revoked at the provider. */
export type GrantPlacement =
  | {
      readonly kind: 'stored'
      readonly tokenVersion: number
      /** Facts for the audit. */
      readonly data?: Readonly<Record<string, unknown>>
    }
  | { readonly kind: 'refused'; readonly reason: string; readonly isOwed: boolean }

/** Pending → active: stores the first grant, and the account, in one transaction of the caller's. */
export async function activateConnection(
  deps: GrantDeps,
  transaction: Queryable,
  granted: GrantedConnection,
): Promise<GrantPlacement> {
  if (!(await holdEndpoints(transaction, granted.provider))) return refuseMoved(transaction, granted.connectionId)
  if (!(await store.updateToActive(transaction, { ...toActivation(granted), from: 'pending' }))) {
    const connection = await store.selectConnection(transaction, granted.connectionId)
    return { kind: 'refused', reason: 'already_completed', isOwed: connection?.status === 'revoked' }
  }
  await insertToken(transaction, deps.vault, toTokenWrite(granted))
  return { kind: 'stored', tokenVersion: 1 }
}

/** A grant of an origin that its profile has left: nobody is to be sent it, not even to revoke it. */
export async function refuseMoved(transaction: Queryable, connectionId: string): Promise<GrantPlacement> {
  await failConnection(transaction, connectionId, 'profile_changed')
  return { kind: 'refused', reason: 'link_expired', isOwed: false }
}

/** What a grant makes of its connection. */
export function toActivation({ connectionId, scopes, grantedScopes, account, metadata }: GrantedConnection) {
  return { connectionId, scopes, grantedScopes, account, metadata }
}

/** What a grant puts into the vault. */
export function toTokenWrite({ connectionId, provider, credentials, times }: GrantedConnection): TokenWrite {
  return { connectionId, providerId: provider.id, credentials, times }
}

export function fromProviderGrant(
  deps: GrantDeps,
  { connectionId, provider, askedScopes, metadata, grant, callbackParams }: ProviderGrant,
): GrantedConnection {
  // an answer without `scope` grants what was asked (RFC 6749 §5.1)
  const grantedScopes = grant.scopes ?? askedScopes
  return {
    connectionId,
    provider,
    scopes: askedScopes,
    grantedScopes,
    account: grant.account,
    metadata,
    credentials: toOAuthCredentials({ ...grant, scopes: grantedScopes }, { ...callbackParams, ...grant.extra }),
    times: tokenTimes(deps, provider, grant),
  }
}

/** Nobody says when it ends, and nobody can refresh it. */
export function fromTypedCredentials({ values, ...placed }: TypedCredentials): GrantedConnection {
  return {
    ...placed,
    scopes: [],
    grantedScopes: [],
    account: undefined,
    credentials: { kind: 'static', values },
    times: { ageSeconds: 0, expiresInSeconds: undefined, refreshInSeconds: undefined },
  }
}

/** Pending → failed. @returns false where the connection no longer waits. */
export function failConnection(transaction: Queryable, id: string, reason: string): Promise<boolean> {
  return store.updateToFailed(transaction, id, reason)
}

export function toOAuthCredentials(grant: TokenGrant, extra: Readonly<Record<string, unknown>>): OAuthCredentials {
  return {
    accessToken: grant.accessToken,
    tokenType: grant.tokenType,
    refreshToken: grant.refreshToken,
    idToken: grant.idToken,
    scope: grant.scopes?.join(' '),
    extra,
  }
}

/** Lifetimes count from when the request was sent, so what the answer took is already gone of them (data.md, Refresh). */
function tokenTimes(deps: GrantDeps, provider: OAuthProvider, grant: TokenGrant): TokenTimes {
  const ageSeconds = Math.max(0, (deps.monotonicMs() - grant.sentAtMs) / 1000)
  const lifetime = grant.expiresInSeconds ?? provider.defaultExpiresInSeconds
  const refreshAt = refreshAfter(lifetime, grant.refreshToken !== undefined, deps.schedule)
  return {
    ageSeconds,
    expiresInSeconds: lifetime === undefined ? undefined : lifetime - ageSeconds,
    refreshInSeconds: refreshAt === undefined ? undefined : refreshAt - ageSeconds,
  }
}
