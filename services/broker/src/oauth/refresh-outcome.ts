import type { RefreshOutcome } from './provider-client.ts'
import { type ProviderError, blamesClient } from './provider-errors.ts'

type FailedRefresh = Exclude<RefreshOutcome, { readonly kind: 'refreshed' | 'held_back' }>

/**
 * What a failed refresh means (data.md, Refresh 8). Only a refusal that names its reason ends a grant or blames the
 * profile; everything else may pass, and costs nothing but time.
 *
 * @param fatalErrors - the profile's further codes that, like `invalid_grant`, end the grant.
 * @param wasBegun - a first byte of the request has left.
 */
export function classifyRefreshError(
  error: ProviderError,
  fatalErrors: readonly string[],
  wasBegun: boolean,
): FailedRefresh {
  const { kind, oauthError, status, retryAfterSeconds } = error
  if (kind === 'rejected' && oauthError !== undefined) {
    if (oauthError === 'invalid_grant' || fatalErrors.includes(oauthError))
      return { kind: 'grant_ended', error: oauthError }
    if (blamesClient(oauthError)) return { kind: 'client_refused', error: oauthError }
  }
  const reason = oauthError ?? (status === undefined ? kind : `http_${status}`)
  const isOutcomeUnknown = wasBegun && mayHaveBeenDone(error)
  const isProviderAway = kind === 'unavailable' || kind === 'address' || kind === 'invalid_answer'
  return { kind: 'transient', reason, retryAfterSeconds, isOutcomeUnknown, isProviderAway }
}

/** Only an answer below 500 that refuses says that nothing was done; silence, 5xx and unreadable successes do not. */
function mayHaveBeenDone({ kind, status }: ProviderError): boolean {
  if (kind === 'rejected') return false
  return status === undefined || status >= 500 || status < 300
}
