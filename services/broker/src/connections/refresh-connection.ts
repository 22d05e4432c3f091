import { AppError, type Logger } from '@nexus/service'
import { type Origin, systemOrigin } from '../audit/audit-event.ts'
import { insertAuditEvent } from '../audit/store.ts'
import type { Database } from '../db/database.ts'
import { retryWhileAway } from '../db/retry-while-away.ts'
import type { ProviderClient, RefreshOutcome, TokenGrant } from '../oauth/provider-client.ts'
import { type OpenedProvider, openProvider } from '../providers/open-provider.ts'
import { retryDelay } from '../refresher/schedule.ts'
import { type GrantDeps, toCredentialSet, tokenTimes } from './activate-connection.ts'
import { updateGrantedScopes, updateToAttentionRequired } from './store.ts'
import {
  type TokenForRefresh,
  selectTokenForRefresh,
  updateRefreshFailure,
  updateRefreshedToken,
} from './token-store.ts'

export type RefreshDeps = GrantDeps & {
  readonly database: Database
  readonly createId: () => string
  readonly providerClient: Pick<ProviderClient, 'refresh'>
  readonly logger: Logger
  readonly countRefresh: (provider: string, outcome: string) => void
}

/** Refreshes the connection's token, whoever asks: those who ask at the same time share one refresh. */
export type RefreshConnection = (connectionId: string, origin: Origin) => Promise<void>

// a refresh stored this recently is what a caller who asks for a fresh token wants
const freshForSeconds = 10
const storeForMs = 60_000

/**
 * Makes the refresher: single-flight per connection within this process, and the version decides between processes: an
 * answer is stored only in place of the token it was asked with.
 *
 * It throws AppError `connection_not_found`, `connection_not_active`, `attention_required` (the user must reconnect),
 * `provider_rejected` (the operator must mend the profile), `provider_unavailable` (later).
 */
export function createRefreshConnection(deps: RefreshDeps): RefreshConnection {
  const inFlight = new Map<string, Promise<void>>()
  return (connectionId, origin) => {
    const running = inFlight.get(connectionId)
    if (running !== undefined) return running
    const started = refresh(deps, connectionId, origin).finally(() => inFlight.delete(connectionId))
    inFlight.set(connectionId, started)
    return started
  }
}

async function refresh(deps: RefreshDeps, connectionId: string, origin: Origin): Promise<void> {
  const token = await selectTokenForRefresh(deps.database, deps.vault, connectionId)
  if (token?.status !== 'active') return refuseRefresh(deps, connectionId, token, origin)
  if ((token.secondsSinceRefresh ?? Infinity) < freshForSeconds) return
  const { refreshToken } = token.credentials
  if (refreshToken === undefined) return endWithoutRefreshToken(deps, token)

  const opened = await openProvider(deps.database, deps.vault, token.providerId)
  const { clientSecret, provider } = opened
  const outcome = await deps.providerClient.refresh(provider, { clientSecret, refreshToken, account: token.account })
  deps.countRefresh(provider.name, outcome.kind)
  await settle(deps, token, opened, outcome, origin)
}

/** Nothing to refresh; the attempt is recorded all the same (A2). */
async function refuseRefresh(
  deps: RefreshDeps,
  connectionId: string,
  token: TokenForRefresh | undefined,
  origin: Origin,
): Promise<never> {
  const error = notRefreshable(token)
  const event = { event: 'token_refresh_failed', outcome: error.code, origin, connectionId } as const
  await insertAuditEvent(deps.database, deps.createId(), { ...event, zone: token?.zone, providerId: token?.providerId })
  throw error
}

function notRefreshable(token: TokenForRefresh | undefined): AppError {
  if (token === undefined) return new AppError('connection_not_found', 'There is no such connection with a token.')
  const { status } = token
  return status === 'attention_required'
    ? new AppError('attention_required', 'The user must reconnect this account.')
    : new AppError('connection_not_active', `The connection is ${status}.`, { details: { status } })
}

/** What the answer means to the connection (data.md, Refresh 8). */
async function settle(
  deps: RefreshDeps,
  token: TokenForRefresh,
  opened: OpenedProvider,
  outcome: RefreshOutcome,
  origin: Origin,
): Promise<void> {
  switch (outcome.kind) {
    case 'refreshed':
      return storeRefreshed(deps, token, opened, outcome.grant, origin)
    case 'grant_ended':
      return endGrant(deps, token, outcome.error, origin)
    case 'client_refused':
      await recordFailure(deps, token, outcome.error, undefined, origin)
      throw new AppError(
        'provider_rejected',
        'The provider refuses the client of this profile; its operator must mend it.',
        {
          details: { error: outcome.error },
        },
      )
    case 'transient': {
      const delay = await recordFailure(deps, token, outcome.reason, outcome.retryAfterSeconds, origin)
      throw new AppError('provider_unavailable', 'The provider cannot refresh the token right now.', {
        retryAfterSeconds: Math.ceil(delay),
      })
    }
  }
}

async function storeRefreshed(
  deps: RefreshDeps,
  token: TokenForRefresh,
  { provider }: OpenedProvider,
  grant: TokenGrant,
  origin: Origin,
): Promise<void> {
  const { connectionId, credentials, version, zone, providerId } = token
  // what a refresh does not repeat stays: the refresh token (RFC 6749 §6), the scope, and what was kept of the callback
  const kept: TokenGrant = { ...grant, refreshToken: grant.refreshToken ?? credentials.refreshToken }
  const fresh = toCredentialSet(kept, { ...credentials.extra, ...grant.extra })
  const merged = { ...fresh, scope: fresh.scope ?? credentials.scope, idToken: fresh.idToken ?? credentials.idToken }
  const write = { connectionId, providerId, credentials: merged, times: tokenTimes(deps, provider, kept) }
  const work = () =>
    deps.database.transaction(async (transaction) => {
      if (!(await updateRefreshedToken(transaction, deps.vault, version, write))) return
      if (grant.scopes !== undefined) await updateGrantedScopes(transaction, connectionId, grant.scopes)
      const event = { event: 'token_refreshed', outcome: 'success', origin, zone, connectionId, providerId } as const
      await insertAuditEvent(transaction, deps.createId(), { ...event, tokenVersion: version + 1 })
    })
  await retryWhileAway(work, {
    forMs: storeForMs,
    onRetry: (error) => {
      deps.logger.error({ err: error, connection_id: connectionId }, 'a refreshed token waits to be stored')
    },
  })
}

async function endGrant(deps: RefreshDeps, token: TokenForRefresh, error: string, origin: Origin): Promise<void> {
  const { connectionId, version, zone, providerId } = token
  const ended = await deps.database.transaction(async (transaction) => {
    if (!(await updateToAttentionRequired(transaction, connectionId, version, error))) return false
    const event = { event: 'token_refresh_fatal', outcome: error, origin, zone, connectionId, providerId } as const
    await insertAuditEvent(transaction, deps.createId(), { ...event, tokenVersion: version })
    return true
  })
  // somebody stored a newer grant meanwhile: there is nothing wrong with that one
  if (ended)
    throw new AppError('attention_required', 'The user must reconnect this account.', { details: { reason: error } })
}

async function endWithoutRefreshToken(deps: RefreshDeps, token: TokenForRefresh): Promise<void> {
  const isOver = token.secondsLeft !== null && token.secondsLeft <= 0
  if (isOver) return endGrant(deps, token, 'no_refresh_token', systemOrigin)
  throw new AppError('attention_required', 'The provider gave no refresh token: only the user can renew this token.', {
    details: { reason: 'no_refresh_token' },
  })
}

async function recordFailure(
  deps: RefreshDeps,
  token: TokenForRefresh,
  reason: string,
  retryAfterSeconds: number | undefined,
  origin: Origin,
): Promise<number> {
  const { connectionId, version, zone, providerId } = token
  const delay = retryDelay(token.failureCount + 1, retryAfterSeconds, deps.schedule.random)
  await deps.database.transaction(async (transaction) => {
    await updateRefreshFailure(transaction, connectionId, version, delay)
    const event = { event: 'token_refresh_failed', outcome: reason, origin, zone, connectionId, providerId } as const
    await insertAuditEvent(transaction, deps.createId(), { ...event, tokenVersion: version })
  })
  return delay
}
