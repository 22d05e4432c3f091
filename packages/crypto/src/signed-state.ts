import { createHmac, createSecretKey } from 'node:crypto'
import type { KeyObject } from 'node:crypto'
import { equalInConstantTime } from './constant-time.ts'
import { assertKeyLength, extractKey, nameKey } from './hkdf.ts'

/** What a state is good for: a state of one purpose must not open the route of another (security.md, H3). */
export const statePurposes = ['request', 'oauth', 'confirm', 'capture'] as const

export type StatePurpose = (typeof statePurposes)[number]

export type StateClaims = {
  readonly purpose: StatePurpose
  /** A UUID in lower case. */
  readonly connectionId: string
  /** 256 random bits in base64url: `randomToken(32)`. */
  readonly jti: string
  /** Database time in whole seconds since 1970. */
  readonly issuedAt: number
}

export type StatePayload = StateClaims & {
  /** The id of the key that signed it. */
  readonly keyId: string
}

export type StateSigner = {
  /** The id of the current key; services that show the same one share their key. */
  readonly keyId: string
  /**
   * Signs with the current key.
   * @throws RangeError on claims of another shape: nothing but ids, a random number and a time goes through browsers
   */
  sign(claims: StateClaims): string
  /**
   * The payload, if one of the keys signed exactly this text. Age is not its business: the database decides when an attempt is over. Every failure is
   * the same `undefined`, so that whoever tries states learns nothing from the way they fail.
   */
  verify(state: string): StatePayload | undefined
}

export type StateKeys = {
  /** Signs and verifies. 32 bytes. */
  readonly key: Uint8Array
  /** The key before this one: verifies only, so that a rotation breaks no handshake under way. 32 bytes. */
  readonly retiredKey?: Uint8Array | undefined
}

type SigningKey = { readonly id: string; readonly key: KeyObject }

/** A state has about 290 characters; nothing longer is worth hashing. */
const longestState = 512

/**
 * The signer of `state` (security.md, H1; RFC 6749 §10.12): `base64url(payload) "." base64url(HMAC-SHA256(key, payload))`
 * where the payload is the JSON text of `{v, kid, purpose, connection_id, jti, iat}`, in this order and without spaces.
 *
 * @throws RangeError if a key has not 32 bytes, or if both are the same
 */
export function createStateSigner({ key, retiredKey }: StateKeys): StateSigner {
  const current = toSigningKey(key)
  const keys = retiredKey === undefined ? [current] : [current, toSigningKey(retiredKey)]
  if (keys[1]?.id === current.id) throw new RangeError('the retired state key is the current one')

  function sign(claims: StateClaims): string {
    if (!areClaims(claims)) throw new RangeError('claims that do not belong into a state')
    const payload = encodePayload(claims, current.id)
    return `${payload.toString('base64url')}.${macOf(payload, current).toString('base64url')}`
  }

  function verify(state: string): StatePayload | undefined {
    // A duplicated query parameter arrives as an array, whatever its type says.
    if (typeof state !== 'string' || state.length > longestState) return undefined
    const [payload, mac, ...rest] = state.split('.').map(decodeCanonical)
    if (payload === undefined || mac === undefined || rest.length > 0) return undefined

    // The signature comes before the content: no parser reads what none of the keys signed.
    const signingKey = keys.find((candidate) => equalInConstantTime(mac, macOf(payload, candidate)))
    if (signingKey === undefined) return undefined

    const claims = parseClaims(payload)
    // One comparison settles version, key id, field order, extra and repeated fields, spaces, number formats, escapes.
    if (claims === undefined || !encodePayload(claims, signingKey.id).equals(payload)) return undefined
    return Object.freeze({ ...claims, keyId: signingKey.id })
  }

  return Object.freeze({ keyId: current.id, sign, verify })
}

function toSigningKey(key: Uint8Array): SigningKey {
  assertKeyLength(key)
  return { id: nameKey(extractKey(key), 'state key id'), key: createSecretKey(key) }
}

function macOf(payload: Uint8Array, { key }: SigningKey): Buffer {
  return createHmac('sha256', key).update(payload).digest()
}

function encodePayload({ purpose, connectionId, jti, issuedAt }: StateClaims, keyId: string): Buffer {
  return Buffer.from(JSON.stringify({ v: 1, kid: keyId, purpose, connection_id: connectionId, jti, iat: issuedAt }))
}

function parseClaims(payload: Buffer): StateClaims | undefined {
  try {
    const fields: Readonly<Record<string, unknown>> = JSON.parse(payload.toString())
    const { purpose, connection_id: connectionId, jti, iat: issuedAt } = fields
    const claims = { purpose, connectionId, jti, issuedAt }
    return areClaims(claims) ? claims : undefined
  } catch {
    return undefined
  }
}

function areClaims(claims: { readonly [Name in keyof StateClaims]: unknown }): claims is StateClaims {
  const { purpose, connectionId, jti, issuedAt } = claims
  return (
    statePurposes.some((known) => known === purpose) &&
    typeof connectionId === 'string' &&
    /^[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}$/.test(connectionId) &&
    typeof jti === 'string' &&
    /^[\w-]{43}$/.test(jti) &&
    Number.isSafeInteger(issuedAt) &&
    Number(issuedAt) >= 0
  )
}

/** Decoding forgives padding, foreign characters and stray bits at the end; only re-encoding shows the one spelling. */
function decodeCanonical(part: string): Buffer | undefined {
  const bytes = Buffer.from(part, 'base64url')
  return bytes.toString('base64url') === part ? bytes : undefined
}
