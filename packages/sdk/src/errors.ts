/** What Nexus answers: the closed list of its contract. */
export const serverErrorCodes = [
  'invalid_request',
  'invalid_state',
  'static_credential',
  'zone_required',
  'missing_api_key',
  'invalid_api_key',
  'missing_bearer_token',
  'invalid_token',
  'forbidden',
  'address_not_allowed',
  'insufficient_permission',
  'route_not_found',
  'provider_not_found',
  'connection_not_found',
  'zone_not_found',
  'token_not_found',
  'provider_exists',
  'zone_exists',
  'zone_not_empty',
  'last_zone',
  'token_name_taken',
  'revision_conflict',
  'connection_not_active',
  'attention_required',
  'already_completed',
  'account_mismatch',
  'completion_refused',
  'link_expired',
  'body_too_large',
  'unsupported_media_type',
  'invalid_profile',
  'invalid_credentials',
  'return_url_not_allowed',
  'scope_not_allowed',
  'idempotency_mismatch',
  'rate_limited',
  'internal',
  'vault_integrity',
  'state_key_mismatch',
  'provider_unavailable',
  'provider_rejected',
  'broker_unavailable',
  'unavailable',
  'key_unavailable',
  'refresh_in_progress',
] as const

/**
 * What goes wrong on this side:
 *
 * - `network_error`: no whole answer came
 * - `timeout`: none came in time, or the person did not connect in time
 * - `unexpected_answer`: what answered is not Nexus, or no version of it that this one understands
 * - `unknown_code`: Nexus names an error that this version does not know; `details.code` has its name
 * - `connection_failed`, `connection_expired`, `connection_revoked`: what was waited for cannot come any more
 * - `strategy_not_applicable`: this credential cannot be put on this request
 * - `origin_not_allowed`: the credential was not made for that host, so it was not sent there
 */
export const sdkErrorCodes = [
  'network_error',
  'timeout',
  'unexpected_answer',
  'unknown_code',
  'connection_failed',
  'connection_expired',
  'connection_revoked',
  'strategy_not_applicable',
  'origin_not_allowed',
] as const

export type ServerErrorCode = (typeof serverErrorCodes)[number]

export type NexusErrorCode = ServerErrorCode | (typeof sdkErrorCodes)[number]

export type NexusErrorFacts = {
  /** The HTTP status, where there was an answer. */
  readonly status?: number | undefined
  /** Names the call in the logs of Nexus. */
  readonly requestId?: string | undefined
  readonly details?: Readonly<Record<string, unknown>> | undefined
  readonly retryAfterSeconds?: number | undefined
  readonly cause?: unknown
}

/** Every failure of this package but an abort by the caller's own signal. Branch on `code`; no field holds a secret. */
export class NexusError extends Error {
  override readonly name = 'NexusError'
  readonly code: NexusErrorCode
  readonly status: number | undefined
  readonly requestId: string | undefined
  readonly details: Readonly<Record<string, unknown>> | undefined
  readonly retryAfterSeconds: number | undefined

  constructor(code: NexusErrorCode, message: string, facts: NexusErrorFacts = {}) {
    super(message, facts.cause === undefined ? undefined : { cause: facts.cause })
    this.code = code
    this.status = facts.status
    this.requestId = facts.requestId
    this.details = facts.details
    this.retryAfterSeconds = facts.retryAfterSeconds
  }
}

/**
 * Narrows what was caught: `if (isNexusError(error, 'attention_required', 'connection_not_active')) …`. Without codes,
 * any failure of this package.
 */
export function isNexusError<Code extends NexusErrorCode = NexusErrorCode>(
  error: unknown,
  ...codes: readonly Code[]
): error is NexusError & { readonly code: Code } {
  if (!(error instanceof NexusError)) return false
  const wanted: readonly NexusErrorCode[] = codes
  return wanted.length === 0 || wanted.includes(error.code)
}

const knownByServer: ReadonlySet<string> = new Set(serverErrorCodes)

export function isServerErrorCode(code: string): code is ServerErrorCode {
  return knownByServer.has(code)
}
