import { z } from 'zod'
import { splitAtCommas, text } from './fields.ts'
import { Secret } from './secret.ts'
import { looksLikeSample, looksUnrandom } from './weak-values.ts'

const makeOne = '(make one with: openssl rand -base64 32)'

/** A 256-bit key: exactly 32 bytes in base64 or base64url, padded or not, in the one spelling that encodes them. */
export function requiredKey32() {
  return key32(z.string({ error: `is required ${makeOne}` }))
}

export function optionalKey32() {
  return requiredKey32().optional()
}

/** Comma-separated 256-bit keys. Unset: none. */
export function keyList32() {
  return text()
    .transform(splitAtCommas)
    .pipe(z.array(key32(z.string())).readonly())
    .default([])
}

function key32(source: z.ZodString) {
  return source
    .superRefine(refuseWith(findKeyFault))
    .transform((value): Secret<Buffer> => new Secret(Buffer.from(value, 'base64')))
}

function findKeyFault(value: string): string | undefined {
  const bytes = Buffer.from(value, 'base64')
  const digits = value.replace(/=$/, '')
  // Decoding skips what it does not understand, so only re-encoding proves the spelling.
  const isCanonical = (['base64', 'base64url'] as const).some(
    (alphabet) => bytes.toString(alphabet).replace(/=$/, '') === digits,
  )
  if (bytes.length !== 32 || !isCanonical) return `must be exactly 32 bytes in base64 ${makeOne}`
  if (looksLikeSample(value) || looksUnrandom(bytes)) return `is a sample value or not random ${makeOne}`
  return undefined
}

const shortestApiKey = 32
const longestApiKey = 512

/** One API key: 32 to 512 visible ASCII characters without comma, quotes and angle brackets; no well-known sample. */
export function apiKey() {
  return apiKeyFrom(z.string({ error: `is required ${makeOne}` }))
}

/** Comma-separated API keys, at least one; several are for rotation. */
export function apiKeyList() {
  return z
    .string({ error: `is required ${makeOne}` })
    .transform(splitAtCommas)
    .pipe(z.array(apiKeyFrom(z.string())).min(1, `is required ${makeOne}`).readonly())
}

function apiKeyFrom(source: z.ZodString) {
  return source.superRefine(refuseWith(findApiKeyFault)).transform((value): Secret<string> => new Secret(value))
}

function findApiKeyFault(value: string): string | undefined {
  if (looksLikeSample(value)) return `is a sample value or not random ${makeOne}`
  if (value.length < shortestApiKey) return `must have at least ${shortestApiKey} characters ${makeOne}`
  if (value.length > longestApiKey) return `must have at most ${longestApiKey} characters`
  // Quotes survive `docker run --env-file`; angle brackets are templates that nobody filled in.
  if (/[^\x21-\x7e]|[,"'`<>]/.test(value))
    return 'must not contain spaces, commas, quotes, <, > or non-ASCII characters'
  return undefined
}

const makeWebhookSecret = '(make one with: echo "whsec_$(openssl rand -base64 32)")'

/**
 * Comma-separated signing secrets of a webhook, at least one; several are for rotation. Each is written as Standard
 * Webhooks has it: `whsec_` and 24 to 64 random bytes in base64.
 */
export function webhookSecretList() {
  const secret = z
    .string()
    .superRefine(refuseWith(findWebhookSecretFault))
    .transform((value): Secret<Buffer> => new Secret(Buffer.from(value.slice('whsec_'.length), 'base64')))
  return text()
    .transform(splitAtCommas)
    .pipe(z.array(secret).min(1, `is required ${makeWebhookSecret}`).readonly())
}

function findWebhookSecretFault(value: string): string | undefined {
  const digits = /^whsec_([A-Za-z0-9+/]+={0,2})$/.exec(value)?.[1] ?? ''
  const bytes = Buffer.from(digits, 'base64')
  if (bytes.length < 24 || bytes.length > 64) return `must be whsec_ and 24 to 64 bytes in base64 ${makeWebhookSecret}`
  if (looksLikeSample(digits) || looksUnrandom(bytes)) return `is a sample value or not random ${makeWebhookSecret}`
  return undefined
}

/** A URL that may hold a password, with one of the schemes, given without colon (`postgres`). Kept as it was written. */
export function secretUrl(schemes: readonly string[]) {
  const message = `must be a URL that begins with ${schemes.map((scheme) => `${scheme}://`).join(' or ')}`
  return text()
    .refine((value) => schemes.includes(/^([a-z][a-z\d+.-]*):\/\//.exec(value)?.[1] ?? ''), message)
    .transform((value): Secret<string> => new Secret(value))
}

function refuseWith(findFault: (value: string) => string | undefined) {
  return (value: string, context: z.RefinementCtx): void => {
    const fault = findFault(value)
    if (fault !== undefined) context.addIssue(fault)
  }
}
