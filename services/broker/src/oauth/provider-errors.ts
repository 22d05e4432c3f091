/**
 * Why a provider could not be used:
 * `unavailable` it did not answer, or said it cannot now (network, 408, 429, 5xx) ·
 * `rejected` it answered with an OAuth error · `invalid_answer` what it answered is not what the RFCs allow ·
 * `id_token` the ID token did not verify · `address` its URL leads where Nexus may not go.
 */
export type ProviderErrorKind = 'unavailable' | 'rejected' | 'invalid_answer' | 'id_token' | 'address'

/** The one error that leaves `oauth/`. It carries codes and our own words, never any of the provider's text (P5). */
export class ProviderError extends Error {
  override readonly name = 'ProviderError'
  readonly kind: ProviderErrorKind
  /** The provider's `error` code, cut and restricted to the characters of RFC 6749 §5.2. */
  readonly oauthError: string | undefined
  readonly status: number | undefined
  readonly retryAfterSeconds: number | undefined

  constructor(
    kind: ProviderErrorKind,
    reason: string,
    options: {
      readonly oauthError?: string
      readonly status?: number
      readonly retryAfterSeconds?: number
      readonly cause?: unknown
    } = {},
  ) {
    super(reason, { cause: options.cause })
    this.kind = kind
    this.oauthError = options.oauthError
    this.status = options.status
    this.retryAfterSeconds = options.retryAfterSeconds
  }
}

const clientErrors = new Set(['invalid_client', 'unauthorized_client'])

/** RFC 6749 §5.2: the provider does not accept the client itself, whosever token it presents: the profile is to blame. */
export function blamesClient(oauthError: string): boolean {
  return clientErrors.has(oauthError)
}
