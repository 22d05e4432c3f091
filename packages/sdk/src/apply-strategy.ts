import { bytesOf, mergeHeaders, withBody, withHeaders } from './derive-request.ts'
import { toBase64, toBase64Url, toHex, toUtf8 } from './encoding.ts'
import { NexusError } from './errors.ts'
import { signAwsRequest } from './sign-aws-request.ts'
import type {
  BasicAuthStrategy,
  CredentialFields,
  HeaderStrategy,
  HmacPayloadStrategy,
  QueryParamStrategy,
  Strategy,
} from './strategy.ts'
import {
  assertHeaderName,
  assertHeaderValue,
  oneOf,
  optionalText,
  refuse,
  requireField,
  textOr,
} from './read-fields.ts'

export { isNexusError, NexusError } from './errors.ts'
export type * from './strategy.ts'

export type ApplyOptions = {
  /** The time in the signature of `aws_sigv4`. Default: now. */
  readonly now?: () => Date
}

/**
 * Puts a credential on a request, as its strategy says: `strategy` and `credentials` as they stand in the answer to
 * `getToken`. Nothing is sent and nothing remembered.
 *
 * A header of the same name is replaced. The body goes over to the new request, as with `new Request(request)`; for
 * `hmac_payload` and `aws_sigv4`, which sign it, it is read into memory first (a request that brings its own
 * `x-amz-content-sha256` is signed with that and stays a stream).
 *
 * @returns a new request; the given one must not be used any more
 * @throws NexusError `strategy_not_applicable`: a field is missing, a value cannot stand in a header, the URL has the
 *   parameter already. The message names the field and never a value.
 */
export async function applyStrategy(
  request: Request,
  strategy: Strategy,
  credentials: CredentialFields,
  options: ApplyOptions = {},
): Promise<Request> {
  switch (strategy.type) {
    case 'oauth2':
      return applyBearer(request, credentials)
    case 'header':
    case 'api_key':
      return applyHeader(request, strategy.config ?? {}, credentials)
    case 'query_param':
      return applyQueryParam(request, strategy.config, credentials)
    case 'basic_auth':
      return applyBasicAuth(request, strategy.config ?? {}, credentials)
    case 'hmac_payload':
      return applyHmac(request, strategy.config, credentials)
    case 'aws_sigv4':
      return signAwsRequest(request, strategy.config, credentials, options.now?.() ?? new Date())
    default:
      throw unknownStrategy(strategy)
  }
}

function applyBearer(request: Request, credentials: CredentialFields): Request {
  const token = requireField(credentials, 'access_token')
  // DPoP (RFC 9449) and MAC tokens need more than the token
  if (!/^bearer$/i.test(optionalText(credentials, 'token_type') ?? 'bearer')) {
    throw refuse('only Bearer tokens can be applied', 'token_type')
  }
  const value = `Bearer ${token}`
  assertHeaderValue(value, 'access_token')
  return withHeaders(request, { authorization: value })
}

function applyHeader(
  request: Request,
  config: NonNullable<HeaderStrategy['config']>,
  credentials: CredentialFields,
): Request {
  const name = textOr(config, 'header_name', 'Authorization')
  assertHeaderName(name)
  const field = textOr(config, 'credential_field', 'api_key')
  const value = `${optionalText(config, 'value_prefix') ?? ''}${requireField(credentials, field)}`
  assertHeaderValue(value, field)
  return withHeaders(request, { [name]: value })
}

function applyQueryParam(
  request: Request,
  config: QueryParamStrategy['config'],
  credentials: CredentialFields,
): Request {
  const name = requireField(config, 'param_name')
  const value = requireField(credentials, textOr(config, 'credential_field', 'api_key'))
  const url = new URL(request.url)
  // two of them, and it is the API's mood which one counts
  if (url.searchParams.has(name)) throw refuse('the URL has this query parameter already', name)
  // a space as %20: a plus is a plus to some
  const pair = new URLSearchParams({ [name]: value }).toString().replaceAll('+', '%20')
  // not by searchParams, which would write everything else in the query anew
  url.search = url.search === '' ? pair : `${url.search}&${pair}`
  return new Request(url, request)
}

function applyBasicAuth(
  request: Request,
  config: NonNullable<BasicAuthStrategy['config']>,
  credentials: CredentialFields,
): Request {
  const usernameField = textOr(config, 'username_field', 'username')
  const passwordField = textOr(config, 'password_field', 'password')
  // a key is often sent as a user without a password, or the other way round
  const username = optionalText(credentials, usernameField) ?? ''
  const password =
    username === '' ? requireField(credentials, passwordField) : (optionalText(credentials, passwordField) ?? '')
  // RFC 7617 §2
  if (username.includes(':'))
    throw refuse('a user name for basic authentication must not contain a colon', usernameField)
  for (const [field, value] of [
    [usernameField, username],
    [passwordField, password],
  ] as const) {
    if (/[\u0000-\u001f\u007f]/.test(value)) throw refuse('must not contain control characters', field)
  }
  return withHeaders(request, { authorization: `Basic ${toBase64(toUtf8(`${username}:${password}`))}` })
}

const hashNames = { sha1: 'SHA-1', sha256: 'SHA-256', sha384: 'SHA-384', sha512: 'SHA-512' } as const
const encoders = { hex: toHex, base64: toBase64, base64url: toBase64Url } as const

async function applyHmac(
  request: Request,
  config: HmacPayloadStrategy['config'],
  credentials: CredentialFields,
): Promise<Request> {
  const name = requireField(config, 'header_name')
  assertHeaderName(name)
  const hash = hashNames[oneOf(config, 'algorithm', ['sha256', 'sha1', 'sha384', 'sha512'])]
  const encode = encoders[oneOf(config, 'encoding', ['hex', 'base64', 'base64url'])]
  const secret = requireField(credentials, textOr(config, 'secret_field', 'secret'))
  const body = await bytesOf(request)
  const key = await crypto.subtle.importKey('raw', toUtf8(secret), { name: 'HMAC', hash }, false, ['sign'])
  const signature = await crypto.subtle.sign('HMAC', key, body ?? new Uint8Array())
  const headers = mergeHeaders(request.headers, { [name]: encode(new Uint8Array(signature)) })
  return withBody(request, { headers, body })
}

function unknownStrategy(strategy: never): NexusError {
  const { type }: { readonly type: unknown } = strategy
  return new NexusError('strategy_not_applicable', `this version does not know the strategy ${String(type)}`)
}
