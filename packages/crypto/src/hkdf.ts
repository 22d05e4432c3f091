import { createHmac, createSecretKey } from 'node:crypto'
import type { KeyObject } from 'node:crypto'

const hashLength = 32
const emptySalt = Buffer.alloc(hashLength)
const firstBlock = Buffer.of(1)

/**
 * HKDF-SHA256 in its two halves. `hkdfSync` would run the first half on every call; kept apart, it runs once per master
 * key, and deriving a record's key costs one HMAC. A test holds the pair equal to `hkdfSync`.
 *
 * Every key here is a KeyObject: it shows nothing when inspected, and node:crypto takes one several times faster than
 * it takes bytes (measured on Node 24, where a raw key costs more than the decryption itself).
 */
export function extractKey(masterKey: Uint8Array): KeyObject {
  // RFC 5869 §2.2. A random master key needs no salt, which then is a block of zeros.
  return createSecretKey(createHmac('sha256', emptySalt).update(masterKey).digest())
}

/** RFC 5869 §2.3 for exactly one block of output: 32 bytes. */
export function expandKey(pseudorandomKey: KeyObject, info: Uint8Array | string): Buffer {
  return createHmac('sha256', pseudorandomKey).update(info).update(firstBlock).digest()
}

/** A name for a key that says nothing about its bytes: 8 hexadecimal digits out of HKDF with a label of its own. */
export function nameKey(pseudorandomKey: KeyObject, label: string): string {
  return expandKey(pseudorandomKey, label).toString('hex', 0, 4)
}

/** @throws RangeError unless the key has 256 bits; its message tells the length and nothing else. */
export function assertKeyLength(key: Uint8Array): void {
  if (key.length !== hashLength) throw new RangeError(`a key must have 32 bytes, not ${key.length}`)
}
