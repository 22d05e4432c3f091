import { createCipheriv, createDecipheriv, randomBytes as nodeRandomBytes } from 'node:crypto'
import { nonceLength, parseEnvelope, tagLength, writeEnvelope } from './envelope.ts'
import { VaultIntegrityError } from './errors.ts'
import type { Keyring } from './keyring.ts'
import type { RandomBytes } from './random.ts'
import { encodeContext } from './seal-context.ts'
import type { SealContext } from './seal-context.ts'

/** Seals secrets for rest and opens them again (AES-256-GCM, NIST SP 800-38D). */
export type Vault = {
  /**
   * Encrypts under the primary key, bound to `context`. The result is 33 bytes longer than the plaintext, and another
   * one each time.
   * @throws RangeError on a context or a text that has no single encoding
   */
  seal(plaintext: Uint8Array | string, context: SealContext): Buffer
  /**
   * Decrypts what was sealed for exactly this context. The plaintext is the caller's to wipe.
   * @throws VaultIntegrityError if it was not, or was changed since (security.md, V1)
   * @throws UnknownKeyError if its key is not in the keyring
   */
  open(envelope: Uint8Array, context: SealContext): Buffer
  /**
   * Seals the same secret anew under the primary key, for the same context.
   * @throws VaultIntegrityError | UnknownKeyError as `open` does
   */
  reseal(envelope: Uint8Array, context: SealContext): Buffer
}

export type VaultOptions = {
  /** The source of nonces. Default: `node:crypto`. */
  readonly randomBytes?: RandomBytes
}

const algorithm = 'aes-256-gcm'
// Stated, because Node else accepts tags as short as 4 bytes, which an attacker can guess.
const gcmOptions = { authTagLength: tagLength }

export function createVault(keyring: Keyring, { randomBytes = nodeRandomBytes }: VaultOptions = {}): Vault {
  function seal(plaintext: Uint8Array | string, context: SealContext): Buffer {
    const { info, aad } = encodeContext(context)
    const keyId = keyring.primaryId
    // A random nonce is safe for 2³² seals under one key (SP 800-38D §8.3); each record has a key of its own.
    const nonce = randomBytes(nonceLength)
    if (nonce.length !== nonceLength) throw new RangeError('the random source gave a nonce of another length')

    const cipher = createCipheriv(algorithm, keyring.deriveRecordKey(keyId, info), nonce, gcmOptions).setAAD(aad)
    const ciphertext = typeof plaintext === 'string' ? cipher.update(wellFormed(plaintext)) : cipher.update(plaintext)
    cipher.final()
    return writeEnvelope({ keyId, nonce, ciphertext, tag: cipher.getAuthTag() })
  }

  function open(envelope: Uint8Array, context: SealContext): Buffer {
    const { info, aad } = encodeContext(context)
    const { keyId, nonce, ciphertext, tag } = parseEnvelope(envelope)
    const decipher = createDecipheriv(algorithm, keyring.deriveRecordKey(keyId, info), nonce, gcmOptions)
    decipher.setAAD(aad).setAuthTag(tag)
    const plaintext = decipher.update(ciphertext)
    try {
      decipher.final()
    } catch (cause) {
      // GCM decrypts before it checks: what it made of a forgery must not stay behind.
      plaintext.fill(0)
      throw new VaultIntegrityError({ cause })
    }
    return plaintext
  }

  function reseal(envelope: Uint8Array, context: SealContext): Buffer {
    const plaintext = open(envelope, context)
    try {
      return seal(plaintext, context)
    } finally {
      plaintext.fill(0)
    }
  }

  return Object.freeze({ seal, open, reseal })
}

/** UTF-8 replaces unpaired surrogates, so the secret that comes out would not be the one that went in. */
function wellFormed(text: string): Buffer {
  if (!text.isWellFormed()) throw new RangeError('a text to seal must be well-formed Unicode')
  return Buffer.from(text)
}
