import type { Origin } from '../audit/audit-event.ts'
import type { Database } from '../db/database.ts'
import type { ProviderClient } from '../oauth/provider-client.ts'
import { openProvider } from '../providers/open-provider.ts'
import type { SecretVault } from '../vault/secret-vault.ts'
import { openAttemptSecrets } from './attempt-store.ts'
import type { CallbackAnswer } from './callback-answer.ts'
import type { BoundAttemptDeps } from './find-bound-attempt.ts'
import { type PostedForm, findPageAttempt } from './page-attempt.ts'
import { isProfileUnchanged } from './profile-digest.ts'

export type ConfirmLinkDeps = BoundAttemptDeps & {
  readonly database: Database
  readonly vault: SecretVault
  readonly providerClient: Pick<ProviderClient, 'buildAuthorizationUrl'>
}

/**
 * The person has read who asks for what, and goes on to the provider. It may be sent again: nothing is used up.
 * @throws ProviderError where the provider's metadata cannot be had
 */
export async function confirmLink(deps: ConfirmLinkDeps, form: PostedForm, origin: Origin): Promise<CallbackAnswer> {
  const found = await findPageAttempt(deps, 'confirm', form, origin)
  if (found.kind === 'refused') return found.answer
  const { attempt } = found
  if (attempt.isConsumed) return { kind: 'page', page: 'already-completed', status: 410 }
  const { provider } = await openProvider(deps.database, deps.vault, attempt.providerId)
  const isAsBefore = isProfileUnchanged(provider, deps.redirectUri, attempt)
  if (attempt.isExpired || !isAsBefore || attempt.redirectUri === undefined) {
    return { kind: 'page', page: 'expired-link', status: 410 }
  }
  const location = await deps.providerClient.buildAuthorizationUrl(provider, {
    redirectUri: attempt.redirectUri,
    state: deps.signer.sign({ ...found.claims, purpose: 'oauth' }),
    scopes: attempt.scopes,
    ...openAttemptSecrets(deps.vault, attempt),
  })
  return { kind: 'redirect', location: location.href }
}
