/**
 * The closed list of error codes that either service answers, with the HTTP status each one maps to.
 * Codes are stable: callers branch on them, never on message text. A code is added here or it does not exist.
 */
export const statusByCode = {
  invalid_request: 400,
  invalid_state: 400,
  static_credential: 400,
  zone_required: 400,
  missing_api_key: 401,
  invalid_api_key: 401,
  missing_bearer_token: 401,
  invalid_token: 401,
  forbidden: 403,
  address_not_allowed: 403,
  insufficient_permission: 403,
  route_not_found: 404,
  provider_not_found: 404,
  connection_not_found: 404,
  zone_not_found: 404,
  token_not_found: 404,
  provider_exists: 409,
  zone_exists: 409,
  zone_not_empty: 409,
  last_zone: 409,
  token_name_taken: 409,
  revision_conflict: 409,
  connection_not_active: 409,
  attention_required: 409,
  already_completed: 409,
  account_mismatch: 409,
  completion_refused: 409,
  link_expired: 410,
  body_too_large: 413,
  unsupported_media_type: 415,
  invalid_profile: 422,
  invalid_credentials: 422,
  return_url_not_allowed: 422,
  scope_not_allowed: 422,
  idempotency_mismatch: 422,
  rate_limited: 429,
  internal: 500,
  vault_integrity: 500,
  state_key_mismatch: 500,
  provider_unavailable: 502,
  provider_rejected: 502,
  broker_unavailable: 502,
  unavailable: 503,
  key_unavailable: 503,
  refresh_in_progress: 503,
} as const

export type ErrorCode = keyof typeof statusByCode

export function isErrorCode(text: string): text is ErrorCode {
  return Object.hasOwn(statusByCode, text)
}

export const errorCodes: readonly ErrorCode[] = Object.keys(statusByCode).filter(isErrorCode)
