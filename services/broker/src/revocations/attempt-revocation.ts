import { type Logger, isAppError } from '@nexus/service'
import { type AuditEvent, type Origin, systemOrigin } from '../audit/audit-event.ts'
import { recordEvent } from '../audit/record-event.ts'
import type { Database, Queryable } from '../db/database.ts'
import type { ProviderClient, RevocationOutcome, SettledRevocation } from '../oauth/provider-client.ts'
import { openProvider } from '../providers/open-provider.ts'
import { backoffSeconds } from '../maintenance/backoff.ts'
import type { SecretVault } from '../vault/secret-vault.ts'
import * as store from './store.ts'

export type AttemptRevocationDeps = {
  readonly database: Database
  readonly vault: SecretVault
  readonly createId: () => string
  readonly providerClient: Pick<ProviderClient, 'revoke'>
  readonly logger: Logger
  /** Uniform in [0, 1). */
  readonly random: () => number
  readonly countRevocation: (outcome: RevocationOutcome['kind'] | 'abandoned') => void
}

/** What became of an owed revocation. `owed`: it still is, and will be attempted again. */
export type Attempted =
  | SettledRevocation
  | { readonly kind: 'owed'; readonly retryAfterSeconds: number | undefined }
  | { readonly kind: 'abandoned' }

const backoff = { firstSeconds: 5, longestSeconds: 3_600 }

/**
 * Presents what is owed to the provider, the refresh token first and then the access token (P6), and writes down what
 * came of it. A token that is refused does not keep the other from being revoked; one that could not be asked for does,
 * until later. What became of the refresh token, which carries the grant, is what became of the whole; without one, the
 * access token decides.
 *
 * No transaction is open meanwhile (R8). Attempting it twice, after a crash say, harms nothing (RFC 7009 §2.2).
 * @param signal - the deadline of the calls to the provider.
 * @throws AppError `unavailable`: the row stays, and comes due again by itself.
 */
export async function attemptRevocation(
  deps: AttemptRevocationDeps,
  owed: store.Revocation,
  tokens: store.OwedTokens,
  signal: AbortSignal,
  origin: Origin = systemOrigin,
): Promise<Attempted> {
  const { refresh, access } = await presentTokens(deps, owed, tokens, signal)
  const last = access ?? refresh
  const refreshTokenOutcome = isSettled(refresh) ? refresh : null
  if (last.kind === 'transient') {
    deps.countRevocation('transient')
    return postpone(deps, { ...owed, refreshTokenOutcome }, last)
  }
  return settle(deps, owed, { refresh: refreshTokenOutcome, access: last }, origin)
}

/** The same for a row that was claimed. One that does not open is abandoned: it never will. */
export async function attemptClaimed(
  deps: AttemptRevocationDeps,
  claimed: store.ClaimedRevocation,
  signal: AbortSignal,
): Promise<Attempted> {
  let tokens: store.OwedTokens
  try {
    tokens = store.openOwedTokens(deps.vault, claimed)
  } catch (error) {
    if (!isAppError(error)) throw error
    const isHopeless = error.code === 'vault_integrity'
    if (isHopeless)
      return abandon(deps, claimed, error.code, (transaction) => store.deleteRevocation(transaction, claimed.id))
    return postpone(deps, claimed, { kind: 'transient', reason: error.code, retryAfterSeconds: undefined })
  }
  return attemptRevocation(deps, claimed, tokens, signal)
}

/** `access` is missing where the refresh token has to be revoked first, and could not be. */
type Presented =
  | { readonly refresh: SettledRevocation | undefined; readonly access: RevocationOutcome }
  | { readonly refresh: RevocationOutcome; readonly access: undefined }

async function presentTokens(
  deps: AttemptRevocationDeps,
  { providerId, connectionId, refreshTokenOutcome }: store.Revocation,
  { refreshToken, accessToken }: store.OwedTokens,
  signal: AbortSignal,
): Promise<Presented> {
  let refresh = refreshTokenOutcome ?? undefined
  try {
    const { provider, clientSecret } = await openProvider(deps.database, deps.vault, providerId)
    const revoke = (token: string, tokenTypeHint: 'refresh_token' | 'access_token') =>
      deps.providerClient.revoke(provider, { clientSecret, token, tokenTypeHint, signal })
    if (refreshToken !== undefined && refresh === undefined) {
      const outcome = await revoke(refreshToken, 'refresh_token')
      if (outcome.kind === 'transient') return { refresh: outcome, access: undefined }
      refresh = outcome
    }
    return { refresh, access: await revoke(accessToken, 'access_token') }
  } catch (error) {
    if (isAppError(error) && error.code === 'unavailable') throw error
    // a client secret that does not open, say: its operator may mend it within the day
    deps.logger.error({ err: error, connection_id: connectionId }, 'a revocation could not be attempted')
    const reason = isAppError(error) ? error.code : 'internal'
    return { refresh, access: { kind: 'transient', reason, retryAfterSeconds: undefined } }
  }
}

function isSettled(outcome: RevocationOutcome | undefined): outcome is SettledRevocation {
  return outcome !== undefined && outcome.kind !== 'transient'
}

async function postpone(
  deps: AttemptRevocationDeps,
  owed: store.Revocation,
  { reason, retryAfterSeconds }: Extract<RevocationOutcome, { kind: 'transient' }>,
): Promise<Attempted> {
  const delay = Math.max(backoffSeconds(owed.attempts, backoff, deps.random), retryAfterSeconds ?? 0)
  if (await store.postponeRevocation(deps.database, owed, delay)) return { kind: 'owed', retryAfterSeconds }
  return abandon(deps, owed, reason, (transaction) => store.deleteOverdueRevocation(transaction, owed))
}

const events = {
  done: 'revocation.done',
  unsupported: 'revocation.unsupported',
  refused: 'revocation.refused',
} as const

async function settle(
  deps: AttemptRevocationDeps,
  owed: store.Revocation,
  { refresh, access }: { readonly refresh: SettledRevocation | null; readonly access: SettledRevocation },
  origin: Origin,
): Promise<SettledRevocation> {
  const whole = refresh ?? access
  const data = { ...(refresh && { refresh_token: codeOf(refresh) }), access_token: codeOf(access) }
  await deps.database.transaction(async (transaction) => {
    if (!(await store.deleteRevocation(transaction, owed.id))) return
    await record(deps, transaction, owed, { event: events[whole.kind], outcome: codeOf(whole), origin, data })
  })
  deps.countRevocation(whole.kind)
  return whole
}

function codeOf(outcome: SettledRevocation): string {
  if (outcome.kind === 'refused') return outcome.error
  return outcome.kind === 'done' ? 'success' : outcome.kind
}

/** Forgets what nobody can revoke any more, and says so. */
async function abandon(
  deps: AttemptRevocationDeps,
  owed: store.Revocation,
  reason: string,
  remove: (transaction: Queryable) => Promise<boolean>,
): Promise<Attempted> {
  const isAbandoned = await deps.database.transaction(async (transaction) => {
    if (!(await remove(transaction))) return false
    const { refreshTokenOutcome, attempts } = owed
    const data = { attempts, ...(refreshTokenOutcome && { refresh_token: codeOf(refreshTokenOutcome) }) }
    await record(deps, transaction, owed, {
      event: 'revocation.abandoned',
      outcome: reason,
      origin: systemOrigin,
      data,
    })
    return true
  })
  // else somebody overtook us: it is theirs to settle
  if (!isAbandoned) return { kind: 'owed', retryAfterSeconds: undefined }
  deps.countRevocation('abandoned')
  deps.logger.warn({ connection_id: owed.connectionId, reason }, 'a revocation was given up; the grant may live on')
  return { kind: 'abandoned' }
}

function record(
  { createId }: AttemptRevocationDeps,
  transaction: Queryable,
  { zone, connectionId, providerId }: store.Revocation,
  event: Pick<AuditEvent, 'event' | 'outcome' | 'origin' | 'data'>,
): Promise<void> {
  return recordEvent(transaction, createId(), { ...event, zone, connectionId, providerId })
}
