import { type RandomBytes, randomToken, sha256 } from '@nexus/crypto'
import { recordEvent } from '../audit/record-event.ts'
import { retryWhileAway } from '../db/retry-while-away.ts'
import type { SecretVault } from '../vault/secret-vault.ts'
import { acceptForMs, acceptPatiently, acceptanceWaits } from './accept-attempt.ts'
import type { AttemptState } from './attempt-store.ts'
import { endAndRecordHolds } from './end-holds.ts'
import { type Bound, type OutcomeDeps, aboutOf, concludeHandshake, noteRetry } from './handshake-outcome.ts'
import * as store from './hold-store.ts'
import { type ReturnDomain, buildReturnUrl, isReturnUrlAllowed } from './return-url.ts'

export type HoldDeps = OutcomeDeps & {
  readonly vault: SecretVault
  readonly randomBytes: RandomBytes
  readonly returnDomains: readonly ReturnDomain[]
  /** COMPLETION_SECONDS */
  readonly completionSeconds: number
}

export type HoldOutcome =
  /** Where the person goes with the completion code: it is for that URL alone. */
  | { readonly kind: 'held'; readonly location: string }
  /** Somebody was first, or there is nothing to accept any more. */
  | { readonly kind: 'elsewhere' }
  /** The URL to return to is no longer allowed: nothing was held, and the handshake is over. */
  | { readonly kind: 'nowhere' }

/** What a person is told whose link leads nowhere any more, and what the audit and the connection say of it. */
const leadsNowhere = { returnError: 'link_expired', reason: 'return_url_not_allowed' } as const

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
  const acceptance = await retryWhileAway(work, {
    forMs: acceptForMs,
    onRetry: noteRetry(deps, bound, acceptanceWaits),
  })
  return acceptance === undefined ? { kind: 'elsewhere' } : { kind: 'held', location }
}

/**
 * Where to send whoever comes back a second time while what they brought is held: the same URL, with the same code.
 * Whoever asks must have shown the attempt's cookie. Where that URL is no longer allowed, what is held is destroyed.
 * @returns undefined where nothing is held any more
 */
export async function findHeldReturn(deps: HoldDeps, { attempt, origin }: Bound): Promise<string | undefined> {
  const hold = await store.selectHold(deps.database, attempt.attemptId)
  if (hold === undefined || !hold.isHeld || hold.isLate) return undefined
  const { completionCode } = store.openHeld(deps.vault, hold)
  const location = completionUrl(hold, deps.returnDomains, completionCode)
  if (location === undefined)
    await endAndRecordHolds(deps, hold.connectionId, { which: 'all', ...leadsNowhere }, origin)
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

async function turnBack(deps: HoldDeps, bound: Bound): Promise<HoldOutcome> {
  const accepted = await acceptPatiently(deps, bound)
  if (accepted === undefined) return { kind: 'elsewhere' }
  const isConcluded = await concludeHandshake(deps, accepted, { event: 'completion_refused', ...leadsNowhere })
  return { kind: isConcluded ? 'nowhere' : 'elsewhere' }
}
