import type { ProviderEndpoints } from './provider-client.ts'
import { ProviderError } from './provider-errors.ts'

/** What Nexus uses of authorization server metadata (RFC 8414 §2; OIDC Discovery §3). */
export type ProviderMetadata = Omit<ProviderEndpoints, 'issuer'> & {
  readonly issuer: string
  /** undefined where the document does not say, which means `client_secret_basic`. */
  readonly tokenEndpointAuthMethods: readonly string[] | undefined
}

export type IssuerToDiscover = {
  readonly issuer: string
  /** A document that serves many tenants may name this as its issuer (Microsoft Entra). */
  readonly issuerTemplate: string | undefined
}

/**
 * Reads a metadata document that was fetched for an issuer.
 *
 * @throws ProviderError `invalid_answer` when it names another issuer (RFC 8414 §3.3), lacks an endpoint, or leads from
 *   an https issuer to plain http.
 */
export function readProviderMetadata(document: unknown, expected: IssuerToDiscover): ProviderMetadata {
  if (typeof document !== 'object' || document === null || Array.isArray(document))
    throw invalid('is not a JSON object')
  const fields: Readonly<Record<string, unknown>> = { ...document }

  const { issuer } = fields
  const isTheOne = typeof issuer === 'string' && (issuer === expected.issuer || issuer === expected.issuerTemplate)
  if (!isTheOne) throw invalid('names another issuer')

  const isPlainAllowed = expected.issuer.startsWith('http:')
  const authorizationEndpoint = readUrl(fields, 'authorization_endpoint', isPlainAllowed)
  const tokenEndpoint = readUrl(fields, 'token_endpoint', isPlainAllowed)
  if (authorizationEndpoint === undefined) throw invalid('has no authorization_endpoint')
  if (tokenEndpoint === undefined) throw invalid('has no token_endpoint')
  return {
    issuer,
    authorizationEndpoint,
    tokenEndpoint,
    jwksUri: readUrl(fields, 'jwks_uri', isPlainAllowed),
    revocationEndpoint: readUrl(fields, 'revocation_endpoint', isPlainAllowed),
    promisesIss: fields['authorization_response_iss_parameter_supported'] === true,
    tokenEndpointAuthMethods: readTexts(fields['token_endpoint_auth_methods_supported']),
  }
}

/** An http issuer was reached only because the address guard opened its network; an https one may not lead out of TLS. */
function readUrl(fields: Readonly<Record<string, unknown>>, name: string, isPlainAllowed: boolean): string | undefined {
  const value = fields[name]
  if (value === undefined || value === null) return undefined
  const url = typeof value === 'string' && URL.canParse(value) ? new URL(value) : undefined
  if (url?.protocol === 'https:' || (isPlainAllowed && url?.protocol === 'http:')) return url.href
  throw invalid(`has no usable ${name}`)
}

function readTexts(value: unknown): readonly string[] | undefined {
  return Array.isArray(value) ? value.filter((item) => typeof item === 'string') : undefined
}

function invalid(reason: string): ProviderError {
  return new ProviderError('invalid_answer', `the metadata of the issuer ${reason}`)
}
