import { AppError, type Logger } from '@nexus/service'
import type { Queryable } from '../db/database.ts'
import type { NoticeRecorder } from '../notices/notice-recorder.ts'
import type { TokenGrant } from '../oauth/provider-client.ts'
import { holdEndpoints } from '../providers/hold-endpoints.ts'
import { isStatic } from '../providers/provider.ts'
import { type QueueRevocationDeps, queueRevocation } from '../revocations/queue-revocation.ts'
import {
  type GrantDeps,
  type GrantPlacement,
  type GrantedConnection,
  refuseMoved,
  toActivation,
  toTokenWrite,
} from './activate-connection.ts'
import type { ConnectedAccount } from './connection.ts'
import { type OAuthCredentials, requireOAuth } from './credential-set.ts'
import {
  type HeldConnection,
  type HeldToken,
  holdConnection,
  holdToken,
  openHeldToken,
  replaceToken,
} from './grant-store.ts'
import { selectConnection, updateToActive } from './store.ts'

export type { HeldConnection } from './grant-store.ts'

export type ReplaceGrantDeps = GrantDeps &
  QueueRevocationDeps & {
    readonly notices: Pick<NoticeRecorder, 'aboutConnection'>
    readonly logger: Logger
  }

/**
 * Holds a connection that is to be reconnected until the transaction ends, and tells how it is.
 * @throws AppError `connection_not_found`, `connection_not_active` where it was revoked: that is final
 */
export async function holdForReconnect(transaction: Queryable, id: string): Promise<HeldConnection> {
  const connection = await holdConnection(transaction, id)
  if (connection === undefined) throw new AppError('connection_not_found', 'There is no such connection.')
  const { status } = connection
  if (status === 'revoked') {
    throw new AppError('connection_not_active', `The connection is ${status}.`, { details: { status } })
  }
  return connection
}

/**
 * Puts the grant of a reconnect in the place of the one the connection has, in one transaction of the caller's, from every
 * status but `revoked`. It takes no lease: the new version, and the presentation it forgets, turn away the answer of any
 * refresh in flight (data.md, Refresh 10).
 */
export async function replaceGrant(
  deps: ReplaceGrantDeps,
  transaction: Queryable,
  granted: GrantedConnection & { readonly allowsAccountChange: boolean },
): Promise<GrantPlacement> {
  const { connectionId, provider } = granted
  // the token first: whoever stores a refresh takes the two in this order
  const old = await holdToken(transaction, connectionId)
  // with a token there, nobody may move the profile
  if (old === undefined && !(await holdEndpoints(transaction, provider))) return refuseMoved(transaction, connectionId)
  const connection = await holdConnection(transaction, connectionId)
  if (connection === undefined || connection.status === 'revoked') {
    return { kind: 'refused', reason: 'already_completed', isOwed: true }
  }
  const whose = compareAccounts(connection.account, granted.account)
  if (whose !== 'same' && !granted.allowsAccountChange) {
    // tokens of nobody in particular may well be of the same account: revoked, they could take the old grant along
    return { kind: 'refused', reason: 'account_mismatch', isOwed: whose === 'another' }
  }

  await updateToActive(transaction, { ...toActivation(granted), from: 'any' })
  const tokenVersion = (old?.version ?? 0) + 1
  await replaceToken(transaction, deps.vault, tokenVersion, toTokenWrite(granted))
  if (old !== undefined && !isStatic(provider) && provider.revocation === 'token_only') {
    await queueReplacedTokens(deps, transaction, granted, connection, old)
  }
  if (connection.status !== 'active') {
    await deps.notices.aboutConnection(transaction, 'connection.active', connectionId)
  }
  const data = { status: connection.status, account_changed: whose !== 'same' }
  return { kind: 'stored', tokenVersion, data }
}

/** As it stands now; nobody is kept from changing it. */
export async function isRevoked(database: Queryable, id: string): Promise<boolean> {
  return (await selectConnection(database, id))?.status === 'revoked'
}

/** Where no account is known of the old grant, as with plain OAuth, nothing can be compared. */
function compareAccounts(
  stored: ConnectedAccount | undefined,
  granted: TokenGrant['account'],
): 'same' | 'another' | 'unknown' {
  if (stored === undefined) return 'same'
  if (granted === undefined) return 'unknown'
  return stored.issuer === granted.issuer && stored.subject === granted.subject ? 'same' : 'another'
}

/** At a provider whose revocations end single tokens, those of the old grant would else live on, known to nobody. */
async function queueReplacedTokens(
  deps: ReplaceGrantDeps,
  transaction: Queryable,
  { connectionId, provider, credentials }: GrantedConnection,
  { zone }: HeldConnection,
  held: HeldToken,
): Promise<void> {
  const old = tryToOpen(deps, connectionId, held)
  const fresh = requireOAuth(credentials)
  // a provider may hand out the very tokens again, and those are in use
  if (old === undefined || old.accessToken === fresh.accessToken) return
  const refreshToken = old.refreshToken === fresh.refreshToken ? undefined : old.refreshToken
  const tokens = { refreshToken, accessToken: old.accessToken }
  await queueRevocation(deps, transaction, { connectionId, providerId: provider.id, zone, tokens })
}

/** What no longer opens cannot be revoked, and is no reason to keep the person from a grant that works. */
function tryToOpen(deps: ReplaceGrantDeps, connectionId: string, held: HeldToken): OAuthCredentials | undefined {
  try {
    return requireOAuth(openHeldToken(deps.vault, connectionId, held))
  } catch (error) {
    deps.logger.warn({ err: error, connection_id: connectionId }, 'replaced tokens do not open: they cannot be revoked')
    return undefined
  }
}
