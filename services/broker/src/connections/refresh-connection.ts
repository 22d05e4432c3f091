import { AppError, type Logger } from '@nexus/service'
import { type AuditEvent, type Origin, systemOrigin } from '../audit/audit-event.ts'
import { recordEvent } from '../audit/record-event.ts'
import type { Database, Queryable } from '../db/database.ts'
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
const hopelessAfterSeconds = 30 * 86_400

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
  if (token?.status !== 'active') throw notRefreshable(token)
  if ((token.secondsSinceRefresh ?? Infinity) < freshForSeconds) return
  assertNotBackingOff(token)
  const { refreshToken } = token.credentials
  if (refreshToken === undefined) return endWithoutRefreshToken(deps, token)

  const opened = await openProvider(deps.database, deps.vault, token.providerId)
  const { clientSecret, provider } = opened
  const outcome = await deps.providerClient.refresh(provider, { clientSecret, refreshToken, account: token.account })
  deps.countRefresh(provider.name, outcome.kind)
  await settle(deps, token, opened, outcome, origin)
}

/** Whoever asks: the provider may have named the time before which it does not want to be asked (Retry-After). */
function assertNotBackingOff({ retryInSeconds }: TokenForRefresh): void {
  if (retryInSeconds === null || retryInSeconds <= 0) return
  throw new AppError('provider_unavailable', 'The provider could not refresh the token; it is not asked again yet.', {
    retryAfterSeconds: retryInSeconds,
  })
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
      await recordRefresh(deps, deps.database, token, { event: 'token_refresh_failed', outcome: outcome.error, origin })
      deps.logger.error({ provider: opened.provider.name, error: outcome.error }, 'a provider refuses our client')
      throw new AppError(
        'provider_rejected',
        'The provider refuses the client of this profile; its operator must mend it.',
        { details: { error: outcome.error } },
      )
    case 'transient':
      return backOff(deps, token, outcome, origin)
  }
}

async function storeRefreshed(
  deps: RefreshDeps,
  token: TokenForRefresh,
  { provider }: OpenedProvider,
  grant: TokenGrant,
  origin: Origin,
): Promise<void> {
  const { connectionId, credentials, version, providerId } = token
  // what a refresh does not repeat stays: the refresh token (RFC 6749 §6), the scope, and what was kept of the callback
  const kept: TokenGrant = { ...grant, refreshToken: grant.refreshToken ?? credentials.refreshToken }
  const fresh = toCredentialSet(kept, { ...credentials.extra, ...grant.extra })
  const merged = { ...fresh, scope: fresh.scope ?? credentials.scope, idToken: fresh.idToken ?? credentials.idToken }
  const write = { connectionId, providerId, credentials: merged, times: tokenTimes(deps, provider, kept) }
  const work = () =>
    deps.database.transaction(async (transaction) => {
      if (!(await updateRefreshedToken(transaction, deps.vault, version, write))) return
      if (grant.scopes !== undefined) await updateGrantedScopes(transaction, connectionId, grant.scopes)
      const refreshed = { ...token, version: version + 1 }
      await recordRefresh(deps, transaction, refreshed, { event: 'token_refreshed', outcome: 'success', origin })
    })
  await retryWhileAway(work, {
    forMs: storeForMs,
    onRetry: (error) => {
      deps.logger.error({ err: error, connection_id: connectionId }, 'a refreshed token waits to be stored')
    },
  })
}

async function endGrant(deps: RefreshDeps, token: TokenForRefresh, error: string, origin: Origin): Promise<void> {
  const { connectionId, version } = token
  const ended = await deps.database.transaction(async (transaction) => {
    if (!(await updateToAttentionRequired(transaction, connectionId, version, error))) return false
    await recordRefresh(deps, transaction, token, { event: 'token_refresh_fatal', outcome: error, origin })
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

/** Later, then: nobody asks before that, until a token has been failing for so long that only its user can help. */
async function backOff(
  deps: RefreshDeps,
  token: TokenForRefresh,
  { reason, retryAfterSeconds }: Extract<RefreshOutcome, { kind: 'transient' }>,
  origin: Origin,
): Promise<void> {
  const delay = retryDelay(token.failureCount + 1, retryAfterSeconds, deps.schedule.random)
  await deps.database.transaction(async (transaction) => {
    await updateRefreshFailure(transaction, token.connectionId, token.version, delay)
    await recordRefresh(deps, transaction, token, { event: 'token_refresh_failed', outcome: reason, origin })
  })
  if (-(token.secondsLeft ?? 0) > hopelessAfterSeconds) return endGrant(deps, token, 'refresh_failing', origin)
  throw new AppError('provider_unavailable', 'The provider cannot refresh the token right now.', {
    retryAfterSeconds: delay,
  })
}

function recordRefresh(
  deps: RefreshDeps,
  database: Queryable,
  { zone, connectionId, providerId, version }: TokenForRefresh,
  event: Pick<AuditEvent, 'event' | 'outcome' | 'origin'>,
): Promise<void> {
  const about = { zone, connectionId, providerId, tokenVersion: version }
  return recordEvent(database, deps.createId(), { ...event, ...about })
}
