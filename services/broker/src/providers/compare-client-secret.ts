import { equalInConstantTime } from '@nexus/crypto'
import { type RateLimiter, rateLimited } from '@nexus/service'
import type { Origin } from '../audit/audit-event.ts'
import { recordEvent } from '../audit/record-event.ts'
import type { Database } from '../db/database.ts'
import type { SecretVault } from '../vault/secret-vault.ts'
import { openProvider } from './open-provider.ts'
import { isStatic } from './provider.ts'
import { requireProvider } from './save-provider.ts'

export type CompareSecretDeps = {
  readonly database: Database
  readonly vault: SecretVault
  readonly createId: () => string
  /** Counts comparisons by profile. */
  readonly secretComparisons: RateLimiter
}

/**
 * Whether the candidate is the client secret that is stored, so that whoever keeps it elsewhere need not read it back. It is
 * a way to guess, so guesses are few, and each is recorded before it is answered. A profile without a secret matches none.
 * @throws AppError `rate_limited`, `provider_not_found`, `vault_integrity`, `key_unavailable`
 */
export async function compareClientSecret(
  deps: CompareSecretDeps,
  id: string,
  candidate: string,
  origin: Origin,
): Promise<boolean> {
  const provider = await requireProvider(deps.database, id)
  await assertFewComparisons(deps.secretComparisons, id)
  const hasNone = isStatic(provider) || !provider.hasClientSecret
  const clientSecret = hasNone ? undefined : (await openProvider(deps.database, deps.vault, id)).clientSecret
  const matches = clientSecret !== undefined && equalInConstantTime(clientSecret, candidate)
  await recordEvent(deps.database, deps.createId(), {
    event: 'provider.secret_compared',
    outcome: matches ? 'matches' : 'differs',
    origin,
    providerId: id,
    data: { name: provider.name },
  })
  return matches
}

async function assertFewComparisons(limiter: RateLimiter, id: string): Promise<void> {
  const outcome = await limiter.check(id)
  if (outcome.allowed) return
  throw rateLimited('The secret of this profile was compared too often; try again shortly.', outcome.retryAfterSeconds)
}
