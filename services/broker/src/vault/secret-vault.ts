import { type SealContext, UnknownKeyError, type Vault, VaultIntegrityError, readKeyId } from '@nexus/crypto'
import { AppError } from '@nexus/service'

/** A sealed value with the id of its key, as the two stand side by side in a row. */
export type SealedSecret = { readonly sealed: Buffer; readonly keyId: Buffer }

/** The vault as stores use it: text in, bytes out, and failures that are ours. */
export type SecretVault = {
  seal(text: string, context: SealContext): SealedSecret
  /**
   * @param keyId what the row says beside the ciphertext: an envelope that names another key was tampered with.
   * @throws AppError `vault_integrity` where the ciphertext is not the one that belongs here (V1),
   *   `key_unavailable` where its key is not configured: nothing is wrong with the row then.
   */
  open(sealed: Uint8Array, context: SealContext, keyId?: Uint8Array | null): string
}

export function createSecretVault(vault: Vault, onIntegrityFailure: (context: SealContext) => void): SecretVault {
  return {
    seal(text, context) {
      const sealed = vault.seal(text, context)
      return { sealed, keyId: Buffer.from(readKeyId(sealed), 'hex') }
    },
    open(sealed, context, keyId) {
      try {
        assertKeyIdAgrees(sealed, keyId)
        return vault.open(sealed, context).toString('utf8')
      } catch (error) {
        if (error instanceof UnknownKeyError) {
          throw new AppError('key_unavailable', 'A key that this secret needs is not configured.', {
            cause: error,
            retryAfterSeconds: 30,
          })
        }
        if (error instanceof VaultIntegrityError) {
          onIntegrityFailure(context)
          throw new AppError('vault_integrity', 'A stored secret failed its integrity check.', { cause: error })
        }
        throw error
      }
    },
  }
}

/** Else a changed byte of the key id would pass for a key that somebody forgot to configure. */
function assertKeyIdAgrees(sealed: Uint8Array, keyId: Uint8Array | null | undefined): void {
  if (keyId === undefined || keyId === null) return
  if (readKeyId(sealed) !== Buffer.from(keyId).toString('hex')) throw new VaultIntegrityError()
}
