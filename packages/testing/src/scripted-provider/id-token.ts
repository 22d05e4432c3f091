import { CompactSign, exportSPKI, type CompactJWSHeaderParameters } from 'jose'
import type { SigningKeys } from './signing-keys.ts'

/** How an ID token lies. */
export type IdTokenForgery = {
  /** Claims that differ (`iss`, `aud`, `azp`, `nonce`, `exp`, `iat` …); `undefined` removes one. */
  readonly claims?: Readonly<Record<string, unknown>>
  /** Header fields that differ, an unknown `kid` say. */
  readonly header?: Readonly<Record<string, unknown>>
  /**
   * `other-key`: by a key that is not in the JWKS, under the kid of one that is; `flipped-bit`: one bit off; `none`: `alg`
   * none and no signature; `hmac-public-key`: HS256 with the public key's PEM as the secret; `hmac-client-secret`: HS256
   * with the client's secret.
   */
  readonly signature?: 'valid' | 'other-key' | 'flipped-bit' | 'none' | 'hmac-public-key' | 'hmac-client-secret'
  /** The whole token, whatever it is. */
  readonly raw?: string
}

/** Signs (or not) an ID token of these true claims, with the lies told. */
export async function makeIdToken(
  trueClaims: Readonly<Record<string, unknown>>,
  { claims = {}, header = {}, signature = 'valid', raw }: IdTokenForgery,
  keys: SigningKeys,
  clientSecret: string,
): Promise<string> {
  if (raw !== undefined) return raw
  const payload = new TextEncoder().encode(JSON.stringify({ ...trueClaims, ...claims }))
  const asymmetric = { alg: keys.alg, kid: keys.current().kid, typ: 'JWT', ...header }
  const symmetric = { alg: 'HS256', typ: 'JWT', ...header }
  switch (signature) {
    case 'valid':
      return sign(payload, asymmetric, keys.current().privateKey)
    case 'other-key':
      return sign(payload, asymmetric, (await keys.stranger()).privateKey)
    case 'flipped-bit':
      return flipLastBit(await sign(payload, asymmetric, keys.current().privateKey))
    case 'none':
      return `${encode(JSON.stringify({ alg: 'none', ...header }))}.${encode(payload)}.`
    case 'hmac-public-key':
      return sign(payload, symmetric, new TextEncoder().encode(await exportSPKI(keys.current().publicKey)))
    case 'hmac-client-secret':
      return sign(payload, symmetric, new TextEncoder().encode(clientSecret))
  }
}

function sign(
  payload: Uint8Array,
  header: CompactJWSHeaderParameters,
  key: Parameters<CompactSign['sign']>[0],
): Promise<string> {
  return new CompactSign(payload).setProtectedHeader(header).sign(key)
}

function encode(content: string | Uint8Array): string {
  return Buffer.from(content).toString('base64url')
}

/** In the bytes, not in the text: the last character of base64url can hold bits that mean nothing. */
function flipLastBit(token: string): string {
  const parts = token.split('.')
  const signature = Buffer.from(parts.pop() ?? '', 'base64url')
  signature.writeUInt8(signature.readUInt8(signature.length - 1) ^ 1, signature.length - 1)
  return [...parts, encode(signature)].join('.')
}
