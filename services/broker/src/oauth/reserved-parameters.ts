const reservedNames = new Set([
  'client_id',
  'client_secret',
  'redirect_uri',
  'response_type',
  'scope',
  'state',
  'nonce',
  'grant_type',
  'refresh_token',
  'request',
  'request_uri',
  'dpop_jkt',
])

/**
 * Whether a request parameter belongs to the protocol, so that no parameter map of a profile may set it. Compared
 * without case, because a lenient provider might read `State` as `state`.
 */
export function isReservedParameter(name: string): boolean {
  const lower = name.toLowerCase()
  return reservedNames.has(lower) || lower.startsWith('client_assertion') || lower.startsWith('code')
}

/** A profile's own parameters, without any that it may not set: saving refuses them, this is the second lock. */
export function pickFreeParameters(parameters: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  return Object.fromEntries(Object.entries(parameters).filter(([name]) => !isReservedParameter(name)))
}
