import { pickKeptFields } from './kept-fields.ts'
import { ProviderError } from './provider-errors.ts'
import { readRetryAfterSeconds } from './retry-after.ts'

/** A token endpoint's success (RFC 6749 §5.1), checked and in one form, however the provider wrote it. */
export type TokenAnswer = {
  readonly accessToken: string
  readonly tokenType: 'Bearer'
  readonly refreshToken: string | undefined
  /** As received: nothing about it is verified here. */
  readonly idToken: string | undefined
  readonly scopes: readonly string[] | undefined
  readonly expiresInSeconds: number | undefined
  readonly extra: Readonly<Record<string, unknown>>
}

type TokenAnswerRules = {
  readonly scopeSeparator: string
  readonly keepTokenFields: readonly string[]
  /** Host time in milliseconds. */
  readonly nowMs: number
}

type Fields = Readonly<Record<string, unknown>>

const longestToken = 32_768
/** Of all scopes together: they are stored and listed with their connection. */
const longestScopes = 32_768
const tenYearsSeconds = 315_360_000

/**
 * Reads the answer of a token endpoint: JSON, or form-encoded as GitHub gives it without `Accept`, whatever the content
 * type says. An `error` inside a 200 is the failure that it names (P3).
 *
 * @throws ProviderError `unavailable` (408, 429, 5xx), `rejected` (an OAuth error or another 4xx), `invalid_answer`.
 */
export async function readTokenAnswer(response: Response, rules: TokenAnswerRules): Promise<TokenAnswer> {
  const fields = parseFields(await response.text(), response.headers.get('content-type') ?? '')
  assertSuccess(response, fields, rules.nowMs)

  const accessToken = readToken(fields, 'access_token')
  if (accessToken === undefined) throw invalid('there is no access_token')
  const tokenType = fields['token_type']
  if (typeof tokenType !== 'string' || tokenType.toLowerCase() !== 'bearer') throw invalid('token_type is not Bearer')

  const refreshToken = readToken(fields, 'refresh_token')
  const idToken = readToken(fields, 'id_token')
  const secrets = [accessToken, refreshToken, idToken].filter((token) => token !== undefined)
  return {
    accessToken,
    tokenType: 'Bearer',
    refreshToken,
    idToken,
    scopes: readScopes(fields['scope'], rules.scopeSeparator),
    expiresInSeconds: readExpiresIn(fields['expires_in']),
    extra: pickKeptFields(fields, rules.keepTokenFields, secrets),
  }
}

/** The answer again, as RFC 6749 §5.1 wants it and without the ID token, for a client library that reads no other form. */
export function toPlainTokenResponse(answer: TokenAnswer): Response {
  return Response.json({
    access_token: answer.accessToken,
    token_type: answer.tokenType,
    ...(answer.refreshToken !== undefined && { refresh_token: answer.refreshToken }),
    ...(answer.expiresInSeconds !== undefined && { expires_in: answer.expiresInSeconds }),
  })
}

/** The provider's `error` code within the characters of RFC 6749 §5.2, at most 64 of them; undefined when there is none. */
export function cleanErrorCode(value: unknown): string | undefined {
  if (typeof value !== 'string') return undefined
  const code = value.replace(/[^\x20-\x21\x23-\x5b\x5d-\x7e]/g, '').slice(0, 64)
  return code === '' ? undefined : code
}

function assertSuccess(response: Response, fields: Fields | undefined, nowMs: number): asserts fields is Fields {
  const { status } = response
  const oauthError = cleanErrorCode(fields?.['error'])
  const retryAfterSeconds = readRetryAfterSeconds(response.headers, nowMs)
  const detail = {
    status,
    ...(oauthError !== undefined && { oauthError }),
    ...(retryAfterSeconds !== undefined && { retryAfterSeconds }),
  }
  if (status === 408 || status === 429 || status >= 500) {
    throw new ProviderError('unavailable', `the token endpoint cannot answer now (${status})`, detail)
  }
  if (oauthError !== undefined || status >= 400) {
    throw new ProviderError('rejected', 'the token endpoint refused the request', detail)
  }
  // RFC 6749 §5.1 says 200; a few providers create tokens with 201.
  if (status !== 200 && status !== 201) throw new ProviderError('invalid_answer', 'the status is not 200', { status })
  if (fields === undefined) throw invalid('the answer is neither a JSON object nor form-encoded')
  if (![undefined, null, ''].some((none) => none === fields['error'])) throw invalid('there is an error inside')
}

/** The fields of an OAuth answer, JSON or form-encoded; undefined where it is neither. */
export function parseFields(body: string, contentType: string): Fields | undefined {
  const text = body.trim()
  if (text.startsWith('{')) return parseJsonObject(text)
  const isForm = /^(application\/x-www-form-urlencoded|text\/plain)?\s*(;|$)/i.test(contentType.trim())
  if (!isForm || !text.includes('=')) return undefined
  // A form has no null: an empty value is how it says "none".
  return Object.fromEntries(
    [...new URLSearchParams(text)].map(([name, value]) => [name, value === '' && name !== 'scope' ? null : value]),
  )
}

function parseJsonObject(text: string): Fields | undefined {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null ? { ...value } : undefined
  } catch {
    // The parser's message quotes the text (P5).
    return undefined
  }
}

/** Only the characters of RFC 6749 §A.12: a line break in a token would become a header of the agent's next request. */
function readToken(fields: Fields, name: string): string | undefined {
  const value = fields[name]
  if (value === undefined || value === null) return undefined
  if (typeof value === 'string' && value.length <= longestToken && /^[\x20-\x7e]+$/.test(value)) return value
  throw invalid(`${name} is not a token`)
}

/** `undefined` means "as asked" (RFC 6749 §5.1), an empty list means none. */
function readScopes(value: unknown, separator: string): readonly string[] | undefined {
  if (value === undefined || value === null) return undefined
  const parts: readonly unknown[] = Array.isArray(value) ? value : [value]
  if (!parts.every((part) => typeof part === 'string')) throw invalid('scope is not text')
  // Some providers are asked with spaces and answer with commas.
  const scopes = parts.flatMap((part) => part.split(separator)).flatMap((part) => part.split(/[\s,]+/))
  if (!scopes.every((scope) => /^[\x21-\x7e]*$/.test(scope))) throw invalid('scope is not text')
  const stated = [...new Set(scopes.filter((scope) => scope !== ''))]
  if (stated.join(' ').length > longestScopes) throw invalid('scope is too long')
  return stated
}

function readExpiresIn(value: unknown): number | undefined {
  if (value === undefined || value === null) return undefined
  const isNumeric =
    typeof value === 'number' || (typeof value === 'string' && /^\d{1,12}(\.\d{1,12})?$/.test(value.trim()))
  const seconds = isNumeric ? Number(value) : Number.NaN
  if (!(seconds >= 0 && seconds <= tenYearsSeconds)) throw invalid('expires_in is not a lifetime in seconds')
  return Math.floor(seconds)
}

function invalid(reason: string): ProviderError {
  return new ProviderError('invalid_answer', reason)
}
