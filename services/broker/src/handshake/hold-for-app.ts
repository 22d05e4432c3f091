import { type RandomBytes, randomToken, sha256 } from '@nexus/crypto'
import type { Origin } from '../audit/audit-event.ts'
import { recordEvent } from '../audit/record-event.ts'
import { retryWhileAway } from '../db/retry-while-away.ts'
import type { SecretVault } from '../vault/secret-vault.ts'
import { type AttemptState, acceptAttempt } from './attempt-store.ts'
import { endHolds, recordRefusal } from './end-holds.ts'
import { type OutcomeDeps, aboutOf, concludeHandshake, noteRetry } from './handshake-outcome.ts'
import * as store from './hold-store.ts'
import { type ReturnDomain, buildReturnUrl, isReturnUrlAllowed } from './return-url.ts'

export type HoldDeps = OutcomeDeps & {
  readonly vault: SecretVault
  readonly randomBytes: RandomBytes
  readonly returnDomains: readonly ReturnDomain[]
  /** COMPLETION_SECONDS */
  readonly completionSeconds: number
}

type Bound = { readonly attempt: AttemptState; readonly origin: Origin }

export type HoldOutcome =
  /** Where the person goes with the completion code: it is for that URL alone. */
  | { readonly kind: 'held'; readonly location: string }
  /** Somebody was first, or there is nothing to accept any more. */
  | { readonly kind: 'elsewhere' }
  /** The URL to return to is no longer allowed: nothing was held, and the handshake is over. */
  | { readonly kind: 'nowhere' }

// nothing was used up yet, so whoever waits need not wait for long
const acceptForMs = 5_000
const nowhere = 'return_url_not_allowed'
/** What a person is told whose link leads nowhere any more. */
const nowhereError = 'link_expired'

/**
 * Accepts an attempt and holds what it brought, sealed and unused, until the app has said which of its users came back
 * (security-model.md, fixation). Nothing has gone to the provider yet.
 * @throws AppError `unavailable`: nothing is used up then
 */
export async function holdForApp(deps: HoldDeps, bound: Bound, brought: store.Brought): Promise<HoldOutcome> {
  const { attempt } = bound
  const completionCode = randomToken(32, deps.randomBytes)
  const location = completionUrl(attempt, deps.returnDomains, completionCode)
  if (location === undefined) return turnBack(deps, bound)
  const hold: store.NewHold = {
    held: { ...brought, completionCode },
    completionHash: sha256(completionCode),
    seconds: deps.completionSeconds,
  }
  const acceptanceId = deps.createId()
  const work = () =>
    deps.database.transaction(async (transaction) => {
      const acceptance = await store.holdAttempt(transaction, deps.vault, attempt, acceptanceId, hold)
      if (acceptance === 'now') {
        const event = { event: 'connection.held', outcome: 'success', ...aboutOf(bound) } as const
        await recordEvent(transaction, deps.createId(), event)
      }
      return acceptance
    })
  const isHeld = await retryWhileAway(work, { forMs: acceptForMs, onRetry: noteRetry(deps, bound, acceptanceWaits) })
  return isHeld === undefined ? { kind: 'elsewhere' } : { kind: 'held', location }
}

const acceptanceWaits = 'an attempt waits to be accepted'

/**
 * Where to send whoever comes back a second time while what they brought is held: the same URL, with the same code.
 * Whoever asks must have shown the attempt's cookie. Where that URL is no longer allowed, what is held is destroyed.
 * @returns undefined where nothing is held any more
 */
export async function findHeldReturn(deps: HoldDeps, { attempt, origin }: Bound): Promise<string | undefined> {
  const hold = await store.selectHold(deps.database, attempt.attemptId)
  if (hold === undefined || !hold.isHeld || hold.isLate || hold.sealedSecrets === null) return undefined
  const { completionCode } = store.openHeld(deps.vault, hold)
  const location = completionUrl(hold, deps.returnDomains, completionCode)
  if (location === undefined) {
    await deps.database.transaction(async (transaction) => {
      const ending = { which: 'all', returnError: nowhereError, reason: nowhere } as const
      for (const ended of await endHolds(transaction, hold.connectionId, ending)) {
        await recordRefusal(deps, transaction, { ...ended, outcome: nowhere, origin })
      }
    })
  }
  return location
}

/** The URL fixed at the start, and no other: checked again, as the list may have become narrower since (H10). */
function completionUrl(
  { returnUrl, connectionId, providerName }: AttemptState,
  domains: readonly ReturnDomain[],
  completionCode: string,
): string | undefined {
  if (returnUrl === undefined || !isReturnUrlAllowed(returnUrl, domains)) return undefined
  return buildReturnUrl(returnUrl, {
    status: 'completion_required',
    connection_id: connectionId,
    provider: providerName,
    completion_code: completionCode,
  })
}

async function turnBack(deps: HoldDeps, { attempt, origin }: Bound): Promise<HoldOutcome> {
  const acceptanceId = deps.createId()
  const acceptance = await retryWhileAway(() => acceptAttempt(deps.database, attempt, acceptanceId), {
    forMs: acceptForMs,
    onRetry: noteRetry(deps, { attempt, origin }, acceptanceWaits),
  })
  if (acceptance === undefined) return { kind: 'elsewhere' }
  const isConcluded = await concludeHandshake(
    deps,
    { attempt: { ...attempt, acceptanceId }, origin },
    { event: 'completion_refused', reason: nowhere, returnError: nowhereError },
  )
  return { kind: isConcluded ? 'nowhere' : 'elsewhere' }
}
