import { z } from 'zod'

// Parameters of an authorization response (RFC 6749 §4.1.2, RFC 9207). Providers add their own; those are left alone.
const short = z.string().max(2048)

export const callbackQuery = z.looseObject({
  state: short.optional(),
  // codes of some providers are JWTs
  code: z.string().max(8192).optional(),
  iss: short.optional(),
  error: z.string().max(256).optional(),
})

export type Callback = {
  readonly state: string | undefined
  readonly code: string | undefined
  readonly iss: string | undefined
  readonly error: string | undefined
  /** Everything the provider sent, for `keep_callback_params`. */
  readonly all: Readonly<Record<string, unknown>>
  /** Path of the request, without query. */
  readonly path: string
  readonly cookieHeader: string | undefined
}

// RFC 6749 §4.1.2.1, OIDC Core §3.1.2.6, and what the IANA registry adds for authorization responses
const registeredErrors = new Set([
  'access_denied',
  'account_selection_required',
  'consent_required',
  'interaction_required',
  'invalid_request',
  'invalid_scope',
  'invalid_target',
  'login_required',
  'registration_not_supported',
  'request_not_supported',
  'request_uri_not_supported',
  'server_error',
  'temporarily_unavailable',
  'unauthorized_client',
  'unmet_authentication_requirements',
  'unsupported_response_type',
])

/** The provider's error, if it is one of the registered codes: anything else is text of a stranger (H7). */
export function toReturnError(error: string): string {
  return registeredErrors.has(error) ? error : 'provider_rejected'
}
