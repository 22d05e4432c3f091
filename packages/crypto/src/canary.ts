import { equalInConstantTime } from './constant-time.ts'
import { readKeyId } from './envelope.ts'
import { VaultIntegrityError } from './errors.ts'
import type { Keyring } from './keyring.ts'
import type { SealContext } from './seal-context.ts'
import { createVault } from './vault.ts'
import type { VaultOptions } from './vault.ts'

/**
 * A canary is a known text sealed under one master key and kept with the key's id. Whoever starts with a key of the same
 * id must open it: so a wrong key is found before it writes a row that the right one cannot read (security.md, V2).
 */
const knownText = 'nexus key canary'

const contextOf = (keyId: string): SealContext => ({ purpose: 'key-canary', recordId: keyId, version: 1 })

/**
 * Seals a canary under the key with that id, be it the primary or not.
 *
 * @throws UnknownKeyError if the keyring has no key with that id
 */
export function sealCanary(keyring: Keyring, keyId: string = keyring.primaryId, options?: VaultOptions): Buffer {
  return createVault(keyring.withPrimary(keyId), options).seal(knownText, contextOf(keyId))
}

/**
 * Whether the keyring's key with that id is the one that sealed the canary.
 *
 * @returns false if it is another key that happens to share the id, or if the canary was changed
 * @throws UnknownKeyError if the keyring has no key with that id
 */
export function checkCanary(keyring: Keyring, keyId: string, canary: Uint8Array): boolean {
  const vault = createVault(keyring.withPrimary(keyId))
  try {
    return readKeyId(canary) === keyId && equalInConstantTime(vault.open(canary, contextOf(keyId)), knownText)
  } catch (error) {
    if (error instanceof VaultIntegrityError) return false
    throw error
  }
}
