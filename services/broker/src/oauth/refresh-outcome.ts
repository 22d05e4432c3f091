import type { RefreshOutcome } from './provider-client.ts'
import type { ProviderError } from './provider-errors.ts'

type FailedRefresh = Exclude<RefreshOutcome, { readonly kind: 'refreshed' }>

/** RFC 6749 §5.2: the provider does not accept the client itself, whoever's token it presents. */
const clientErrors = ['invalid_client', 'unauthorized_client']

/**
 * What a failed refresh means (data.md, Refresh 8). Only a refusal that names its reason ends a grant or blames the
 * profile; everything else may pass, and costs nothing but time.
 *
 * @param fatalErrors - the profile's further codes that, like `invalid_grant`, end the grant.
 */
export function classifyRefreshError(error: ProviderError, fatalErrors: readonly string[]): FailedRefresh {
  const { kind, oauthError, status, retryAfterSeconds } = error
  if (kind === 'rejected' && oauthError !== undefined) {
    if (oauthError === 'invalid_grant' || fatalErrors.includes(oauthError))
      return { kind: 'grant_ended', error: oauthError }
    if (clientErrors.includes(oauthError)) return { kind: 'client_refused', error: oauthError }
  }
  const reason = oauthError ?? (status === undefined ? kind : `http_${status}`)
  return { kind: 'transient', reason, retryAfterSeconds }
}
