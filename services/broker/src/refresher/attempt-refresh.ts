import { type Logger, isAppError } from '@nexus/service'
import type { Origin } from '../audit/audit-event.ts'
import type { OAuthCredentials } from '../connections/credential-set.ts'
import type { Database } from '../db/database.ts'
import type { ProviderClient, RefreshOutcome } from '../oauth/provider-client.ts'
import { ProviderError } from '../oauth/provider-errors.ts'
import { openProvider } from '../providers/open-provider.ts'
import type { OpenedProvider } from '../providers/provider.ts'
import type { SecretVault } from '../vault/secret-vault.ts'
import type { Checkpoint } from './checkpoint.ts'
import * as store from './claim-store.ts'
import type { Claim } from './claim-store.ts'
import type { AttemptResult, Ending } from './attempt-result.ts'
import { freshForSeconds } from './schedule.ts'

export type AttemptDeps = {
  readonly database: Database
  readonly vault: SecretVault
  readonly providerClient: Pick<ProviderClient, 'refresh' | 'findEndpoints'>
  readonly logger: Logger
  readonly monotonicMs: () => number
  readonly checkpoint: Checkpoint
  /** Tokens older than this came out of a backup; undefined: none did. */
  readonly restoredAt: Date | undefined
  /** Records what the attempt came to, now or as soon as the database takes it. */
  readonly settle: (attempt: Attempt, ending: Ending) => Promise<AttemptResult>
}

/** A claim that is followed through, with what was opened for it. */
export type Attempt = {
  readonly claim: Claim
  readonly origin: Origin
  /** undefined where it could not be opened. */
  readonly opened: OpenedProvider | undefined
  readonly credentials: OAuthCredentials | undefined
}

// between mark and first byte: longer, and another Broker might find the lease lapsed while we still send
const sendWithinMs = 2_000
const maxMarks = 5

/**
 * Refreshes one token under a lease (data.md, Refresh 3 to 6): look again, mark, send, settle. Every way out settles the
 * claim or gives it back; what was sent is followed through, whoever loses patience meanwhile.
 */
export async function attemptRefresh(deps: AttemptDeps, claim: Claim, origin: Origin): Promise<AttemptResult> {
  await deps.checkpoint('claimed', claim.connectionId)
  if (isFreshEnough(claim)) {
    await store.releaseClaim(deps.database, claim)
    return { kind: 'refreshed' }
  }
  if (isToBeLeftAlone(claim)) {
    await store.releaseClaim(deps.database, claim)
    return { kind: 'lost' }
  }
  const attempt = await openAttempt(deps, claim, origin)
  if ('failure' in attempt)
    return deps.settle({ claim, origin, opened: undefined, credentials: undefined }, attempt.failure)

  const obstacle = findObstacle(deps, attempt)
  if (obstacle !== undefined) return deps.settle(attempt, obstacle)

  const outcome = await presentRefreshToken(deps, attempt)
  if (outcome === 'lost') return { kind: 'lost' }
  await deps.checkpoint('answered', claim.connectionId)
  return deps.settle(attempt, outcome)
}

/** Somebody refreshed it while this Broker was on its way. What was presented and not told about is never fresh. */
function isFreshEnough({ isAbandoned, secondsSinceRefresh }: Claim): boolean {
  return !isAbandoned && secondsSinceRefresh !== null && secondsSinceRefresh < freshForSeconds
}

/** Somebody failed while this Broker was on its way: nobody asks again before the time that was recorded then. */
function isToBeLeftAlone({ isAbandoned, retryInSeconds }: Claim): boolean {
  return !isAbandoned && retryInSeconds !== null && retryInSeconds > 0
}

type Opened = Attempt & { readonly opened: OpenedProvider; readonly credentials: OAuthCredentials }

/** Secrets that do not open are left alone for a while: asking again each second would drown the alarm they raise. */
async function openAttempt(
  deps: AttemptDeps,
  claim: Claim,
  origin: Origin,
): Promise<Opened | { readonly failure: Ending }> {
  try {
    const credentials = store.openClaim(deps.vault, claim)
    const opened = await openProvider(deps.database, deps.vault, claim.providerId)
    return { claim, origin, opened, credentials }
  } catch (error) {
    if (!isAppError(error) || (error.code !== 'vault_integrity' && error.code !== 'key_unavailable')) throw error
    return { failure: { kind: 'unopened', error } }
  }
}

/** What keeps this token from being presented at all. */
function findObstacle(deps: AttemptDeps, { claim, opened, credentials }: Opened): Ending | undefined {
  if (credentials.refreshToken === undefined) {
    const isOver = claim.secondsLeft !== null && claim.secondsLeft <= 0
    return isOver ? { kind: 'grant_ended', error: 'no_refresh_token' } : { kind: 'not_renewable' }
  }
  const isFromBackup = deps.restoredAt !== undefined && claim.issuedAt < deps.restoredAt
  // the newer token that the backup does not know of may be in use; presenting the old one could end it
  if (isFromBackup && opened.rotates) return { kind: 'grant_ended', error: 'restored' }
  return undefined
}

/** Marks and sends; marks again where the connection to the provider took too long to stand. */
async function presentRefreshToken(deps: AttemptDeps, attempt: Opened): Promise<Ending | 'lost'> {
  // metadata first: nothing that may take long lies between the mark and the request
  const unreachable = await findUnreachable(deps, attempt)
  if (unreachable !== undefined) return unreachable

  for (let marks = 1; marks <= maxMarks; marks++) {
    const markedAt = deps.monotonicMs()
    if (!(await store.markSent(deps.database, attempt.claim))) return 'lost'
    await deps.checkpoint('marked', attempt.claim.connectionId)
    const outcome = await send(deps, attempt, markedAt)
    if (outcome.kind !== 'held_back') return outcome
  }
  return transient('unavailable')
}

async function send(deps: AttemptDeps, attempt: Opened, markedAt: number): Promise<RefreshOutcome> {
  const { claim, opened, credentials } = attempt
  try {
    return await deps.providerClient.refresh(opened.provider, {
      clientSecret: opened.clientSecret,
      refreshToken: credentials.refreshToken ?? '',
      account: claim.account,
      hooks: {
        maySend: () => deps.monotonicMs() - markedAt <= sendWithinMs,
        onSent: () => void deps.checkpoint('sent', claim.connectionId),
      },
    })
  } catch (error) {
    // a fault of ours, after who knows how much was sent: settled like any other, or the token would be presented for ever
    return { ...noteFault(deps, claim, error), isOutcomeUnknown: true }
  }
}

async function findUnreachable(deps: AttemptDeps, { claim, opened }: Opened): Promise<Ending | undefined> {
  try {
    await deps.providerClient.findEndpoints(opened.provider)
    return undefined
  } catch (error) {
    if (!(error instanceof ProviderError)) return noteFault(deps, claim, error)
    return { ...transient(`discovery_${error.kind}`), retryAfterSeconds: error.retryAfterSeconds }
  }
}

function noteFault({ logger }: AttemptDeps, { connectionId }: Claim, error: unknown) {
  logger.error({ err: error, connection_id: connectionId }, 'a refresh failed for no reason that is known')
  return transient('internal')
}

function transient(reason: string) {
  const isProviderAway = reason !== 'internal'
  return { kind: 'transient', reason, retryAfterSeconds: undefined, isOutcomeUnknown: false, isProviderAway } as const
}
