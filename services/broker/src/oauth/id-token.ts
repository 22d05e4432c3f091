import { equalInConstantTime } from '@nexus/crypto'
import { compactVerify, errors, type CompactVerifyGetKey } from 'jose'
import { isExpectedIssuer, type IssuerRule } from './issuer-rule.ts'
import type { Account } from './provider-client.ts'
import { ProviderError } from './provider-errors.ts'

export type IdTokenRules = {
  readonly issuer: IssuerRule
  /** The issuer's signing keys. */
  readonly keys: CompactVerifyGetKey
  /** The one registered algorithm. */
  readonly algorithm: string
  readonly clientId: string
  /** `any` on a refresh: the token that comes then belongs to no authorization request (OIDC Core §12.2). */
  readonly nonce: { readonly kind: 'sent'; readonly value: string } | { readonly kind: 'none-sent' | 'any' }
  /** Milliseconds by the clock that decides (the database's). */
  readonly nowMs: number
}

type Claims = Readonly<Record<string, unknown>>

const longestIdToken = 16_384
const longestSubject = 255
const longestLabel = 200
const iatAheadSeconds = 60

const asymmetricAlgorithms = /^(RS|PS|ES)(256|384|512)$|^EdDSA$|^Ed25519$/

/**
 * Verifies an ID token (P1; OIDC Core §3.1.3.7) and names the account it speaks of. The signature comes first: nothing
 * that the token says is looked at before, save the key id in its header.
 *
 * @throws ProviderError `id_token` with the check that failed; `unavailable` or `address` when the keys cannot be had.
 */
export async function verifyIdToken(idToken: string, rules: IdTokenRules): Promise<Account> {
  if (idToken.length > longestIdToken) throw refused('it is too large')
  // A registration that says otherwise would let a public key serve as an HMAC secret (RFC 8725 §2.1).
  if (!asymmetricAlgorithms.test(rules.algorithm)) throw refused('the registered algorithm is not asymmetric')
  const payload = await verifySignature(idToken, rules)
  return checkClaims(parseClaims(payload), rules)
}

/**
 * The same checks but the signature's, for a refresh whose answer must not be lost while the issuer's keys cannot be
 * had: TLS vouches for the token endpoint (OIDC Core §3.1.3.7, 6). The token itself is then not to be kept.
 */
export function checkUnsignedIdToken(idToken: string, rules: IdTokenRules): Account {
  const [, payload = ''] = idToken.length > longestIdToken ? [] : idToken.split('.')
  return checkClaims(parseClaims(Buffer.from(payload, 'base64url')), rules)
}

function checkClaims(claims: Claims, rules: IdTokenRules): Account {
  const { iss, aud, azp, exp, iat, nbf, nonce, sub, tid } = claims
  const nowSeconds = Math.floor(rules.nowMs / 1000)

  if (typeof iss !== 'string' || !isExpectedIssuer(rules.issuer, iss, tid)) throw refused('iss is another issuer')

  const audiences = Array.isArray(aud) ? aud : [aud]
  if (!audiences.includes(rules.clientId)) throw refused('aud is another client')
  if (audiences.length > 1 && azp === undefined) throw refused('several audiences and no azp')
  if (azp !== undefined && azp !== rules.clientId) throw refused('azp is another client')

  if (!isTimestamp(exp) || exp <= nowSeconds) throw refused('it is expired, or has no exp')
  if (!isTimestamp(iat) || iat > nowSeconds + iatAheadSeconds) throw refused('iat lies ahead, or is missing')
  if (nbf !== undefined && !(isTimestamp(nbf) && nbf <= nowSeconds + iatAheadSeconds)) throw refused('nbf lies ahead')

  if (!isExpectedNonce(rules.nonce, nonce)) throw refused('nonce is not the one sent')

  if (!isSubject(sub)) throw refused('sub is missing, too long or not text')

  return { issuer: iss, subject: sub, label: readLabel(claims) }
}

async function verifySignature(idToken: string, rules: IdTokenRules): Promise<Uint8Array> {
  try {
    const { payload } = await compactVerify(idToken, rules.keys, { algorithms: [rules.algorithm] })
    return payload
  } catch (error) {
    throw translateSignatureError(error)
  }
}

/** The token's text is in none of jose's messages, but its claims hang on some of its errors: only the code is kept (P5). */
function translateSignatureError(error: unknown): unknown {
  if (error instanceof ProviderError) return error
  if (error instanceof errors.JWKSTimeout)
    return new ProviderError('unavailable', 'the keys of the issuer did not come in time')
  if (error instanceof errors.JWKSNoMatchingKey) return new UnknownKeyError()
  if (error instanceof errors.JOSEAlgNotAllowed) return refused('alg is not the registered one')
  // Status and shape of the key set come as the base class and JWKSInvalid: the issuer's keys are missing, not the token's fault.
  if (error instanceof errors.JWKSInvalid || error?.constructor === errors.JOSEError) {
    return new ProviderError('unavailable', 'the keys of the issuer cannot be read')
  }
  if (error instanceof errors.JOSEError) return refused(`the signature does not verify (${error.code})`)
  return error instanceof TypeError ? refused('the key does not fit the algorithm') : error
}

/** No key of the issuer has the token's key id: forged, or the keys live elsewhere by now. */
export class UnknownKeyError extends ProviderError {
  constructor() {
    super('id_token', 'the ID token is refused: no key of the issuer fits it')
  }
}

function parseClaims(payload: Uint8Array): Claims {
  try {
    const claims: unknown = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(payload))
    if (typeof claims === 'object' && claims !== null && !Array.isArray(claims)) return { ...claims }
  } catch {
    // The parser's message quotes the text (P5).
  }
  throw refused('its payload is not a JSON object')
}

function isSubject(value: unknown): value is string {
  return typeof value === 'string' && value.length <= longestSubject && /^[^\p{C}]+$/u.test(value)
}

function isTimestamp(value: unknown): value is number {
  return typeof value === 'number' && Number.isFinite(value)
}

function isExpectedNonce(expected: IdTokenRules['nonce'], nonce: unknown): boolean {
  // A nonce that was never sent belongs to somebody else's request.
  if (expected.kind !== 'sent') return expected.kind === 'any' || nonce === undefined
  return typeof nonce === 'string' && equalInConstantTime(nonce, expected.value)
}

/** What a person recognises the account by; shown in lists, never compared. */
function readLabel({ email, preferred_username: username, name }: Claims): string | undefined {
  for (const value of [email, username, name]) {
    if (typeof value !== 'string') continue
    const label = Array.from(value.replace(/\p{C}/gu, '').trim()).slice(0, longestLabel).join('')
    if (label !== '') return label
  }
  return undefined
}

function refused(reason: string): ProviderError {
  return new ProviderError('id_token', `the ID token is refused: ${reason}`)
}
