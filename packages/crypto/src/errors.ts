/**
 * A sealed value is not what was sealed here: altered, cut, or taken from another record, purpose or version. Every
 * reason gives the same message, so that nobody can feel their way along it.
 */
export class VaultIntegrityError extends Error {
  override readonly name = 'VaultIntegrityError'

  constructor(options?: ErrorOptions) {
    super('a sealed value failed its integrity check', options)
  }
}

/**
 * The key that sealed a value is not in the keyring. Nothing is known to be wrong with the value: this is a matter of
 * configuration, and never reported as damage.
 */
export class UnknownKeyError extends Error {
  override readonly name = 'UnknownKeyError'
  /** The id of the missing key; an id says nothing about its key. */
  readonly keyId: string

  constructor(keyId: string) {
    super(`no key with the id ${keyId} is configured`)
    this.keyId = keyId
  }
}
