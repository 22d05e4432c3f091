import { createSecretKey } from 'node:crypto'
import type { KeyObject } from 'node:crypto'
import { UnknownKeyError } from './errors.ts'
import { assertKeyLength, expandKey, extractKey, nameKey } from './hkdf.ts'

/**
 * The master keys, behind the two things that may be done with them: naming them, and deriving a record's key. The keys
 * themselves live in a closure, so no inspection and no JSON of a keyring can show them.
 */
export type Keyring = {
  /** The id of the key that seals. */
  readonly primaryId: string
  /** The ids of all keys that open, the primary first. */
  readonly ids: readonly string[]
  has(keyId: string): boolean
  /**
   * The AES-256 key for one record (`info`) under one master key.
   * @throws UnknownKeyError if the keyring has no key with that id
   */
  deriveRecordKey(keyId: string, info: Uint8Array): KeyObject
  /**
   * The same keys with another one sealing: for the canary of a key that does not seal yet.
   * @throws UnknownKeyError if the keyring has no key with that id
   */
  withPrimary(keyId: string): Keyring
}

export type KeyringKeys = {
  /** Seals, and opens. 32 bytes. */
  readonly primary: Uint8Array
  /** Keys that only open, because they come or go. 32 bytes each. */
  readonly extra?: readonly Uint8Array[] | undefined
}

/**
 * The id of a master key: 8 hexadecimal digits, derived by HKDF, so that it may stand in rows and logs. 32 bits are
 * enough to tell a few keys apart; that an id names *this* key is what the canary proves.
 *
 * @throws RangeError unless the key has 32 bytes
 */
export function deriveKeyId(masterKey: Uint8Array): string {
  assertKeyLength(masterKey)
  return nameKey(extractKey(masterKey), 'key id')
}

/**
 * Makes a keyring. The keys are copied; the caller may wipe its own.
 *
 * @throws RangeError if a key has not 32 bytes, or if two have one id: rows could not say which of them they need
 */
export function createKeyring({ primary, extra = [] }: KeyringKeys): Keyring {
  const keys = new Map<string, KeyObject>()
  for (const masterKey of [primary, ...extra]) {
    const keyId = deriveKeyId(masterKey)
    if (keys.has(keyId)) throw new RangeError(`two keys have the id ${keyId}; is one key configured twice?`)
    keys.set(keyId, extractKey(masterKey))
  }
  return keyringOf(keys, deriveKeyId(primary))
}

function keyringOf(keys: ReadonlyMap<string, KeyObject>, primaryId: string): Keyring {
  const find = (keyId: string): KeyObject => {
    const key = keys.get(keyId)
    if (key === undefined) throw new UnknownKeyError(keyId)
    return key
  }
  return Object.freeze({
    primaryId,
    ids: Object.freeze([primaryId, ...[...keys.keys()].filter((keyId) => keyId !== primaryId)]),
    has: (keyId: string) => keys.has(keyId),
    // Not remembered: key objects hold native memory that the garbage collector does not count, so a cache that evicts
    // grows a process by tens of megabytes, to save a few microseconds.
    deriveRecordKey: (keyId: string, info: Uint8Array) => createSecretKey(expandKey(find(keyId), info)),
    withPrimary(keyId: string) {
      find(keyId)
      return keyringOf(keys, keyId)
    },
  })
}
