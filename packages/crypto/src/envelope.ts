import { VaultIntegrityError } from './errors.ts'

/**
 * The wire format, and the one place that knows its offsets:
 *
 *     version (1) | key id (4) | nonce (12) | ciphertext (as long as the plaintext) | tag (16)
 */
const formatVersion = 1
const keyIdAt = 1
const nonceAt = 5
const ciphertextAt = 17

export const nonceLength = 12
export const tagLength = 16
const shortest = ciphertextAt + tagLength

export type Envelope = {
  /** 8 hexadecimal digits. */
  readonly keyId: string
  readonly nonce: Uint8Array
  readonly ciphertext: Uint8Array
  readonly tag: Uint8Array
}

export function writeEnvelope({ keyId, nonce, ciphertext, tag }: Envelope): Buffer {
  return Buffer.concat([Buffer.of(formatVersion), Buffer.from(keyId, 'hex'), nonce, ciphertext, tag])
}

/**
 * Takes an envelope apart without copying.
 *
 * @throws VaultIntegrityError on bytes that are no envelope of this version
 */
export function parseEnvelope(envelope: Uint8Array): Envelope {
  const keyId = readKeyId(envelope)
  const tagAt = envelope.length - tagLength
  return {
    keyId,
    nonce: envelope.subarray(nonceAt, ciphertextAt),
    ciphertext: envelope.subarray(ciphertextAt, tagAt),
    tag: envelope.subarray(tagAt),
  }
}

/**
 * The id of the key that sealed an envelope, in 8 hexadecimal digits, as it claims: only opening proves it.
 *
 * @throws VaultIntegrityError on bytes that are no envelope of this version
 */
export function readKeyId(envelope: Uint8Array): string {
  if (envelope.length < shortest || envelope[0] !== formatVersion) throw new VaultIntegrityError()
  return Buffer.from(envelope.buffer, envelope.byteOffset + keyIdAt, nonceAt - keyIdAt).toString('hex')
}
