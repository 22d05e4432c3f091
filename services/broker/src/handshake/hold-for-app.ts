import { type RandomBytes, randomToken, sha256 } from '@nexus/crypto'
import { retryWhileAway } from '../db/retry-while-away.ts'
import type { SecretVault } from '../vault/secret-vault.ts'
import { type AttemptState, acceptAttempt } from './attempt-store.ts'
import { type Bound, type OutcomeDeps, noteRetry } from './handshake-outcome.ts'
import { type HeldSecrets, openHeld, sealHeld, selectHeld } from './hold-store.ts'
import { type ReturnDomain, isReturnUrlAllowed } from './return-url.ts'

export type HoldDeps = OutcomeDeps & {
  readonly vault: SecretVault
  readonly randomBytes: RandomBytes
  /** COMPLETION_SECONDS */
  readonly completionSeconds: number
  readonly returnDomains: readonly ReturnDomain[]
}

/** What there is to hold: an authorization code with all that its exchange needs, or what was typed in. */
export type Holdable = HeldSecrets extends infer Held
  ? Held extends HeldSecrets
    ? Omit<Held, 'completionCode'>
    : never
  : never

// nothing was used up yet, so whoever waits need not wait for long
const acceptForMs = 5_000

/**
 * Accepts an attempt and holds what it brought, sealed and unused, until the app has said which of its users came back
 * (`completion: "app"`). Both are one statement: a process that dies leaves either the attempt untouched or the hold whole.
 * @returns the completion code, for the return URL alone; undefined where somebody was first
 */
export async function holdForApp(deps: HoldDeps, bound: Bound, brought: Holdable): Promise<string | undefined> {
  const { attempt } = bound
  const completionCode = randomToken(32, deps.randomBytes)
  const sealed = sealHeld(deps.vault, attempt.attemptId, { ...brought, completionCode })
  const hold = { sealed, completionHash: sha256(completionCode), seconds: deps.completionSeconds }
  const acceptanceId = deps.createId()
  const isHeld = await retryWhileAway(() => acceptAttempt(deps.database, attempt, acceptanceId, hold), {
    forMs: acceptForMs,
    onRetry: noteRetry(deps, bound, 'an attempt waits to be held'),
  })
  return isHeld ? completionCode : undefined
}

/** The completion code of what this very attempt holds: whoever comes again with its cookie is sent where they were sent before. */
export async function findHeldCode(deps: HoldDeps, { attemptId }: AttemptState): Promise<string | undefined> {
  const held = await selectHeld(deps.database, attemptId)
  return held && openHeld(deps.vault, attemptId, held).completionCode
}

/** The code may go to the return URL that was fixed at the start, while that is allowed, and nowhere else. */
export function canReturnToApp(
  { returnDomains }: Pick<HoldDeps, 'returnDomains'>,
  { returnUrl }: AttemptState,
): boolean {
  return returnUrl !== undefined && isReturnUrlAllowed(returnUrl, returnDomains)
}
