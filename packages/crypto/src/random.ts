import { randomBytes as nodeRandomBytes } from 'node:crypto'

/** A cryptographic random source: that many bytes, new each time. Tests inject a counted one. */
export type RandomBytes = (size: number) => Uint8Array

/** Below 128 bits a token could be guessed by somebody patient. */
const fewestBytes = 16

/**
 * A random token in base64url without padding: 32 bytes give 43 characters.
 *
 * @throws RangeError for fewer than 16 bytes
 */
export function randomToken(bytes: number, randomBytes: RandomBytes = nodeRandomBytes): string {
  if (!(bytes >= fewestBytes)) throw new RangeError(`a token needs at least ${fewestBytes} random bytes`)
  return Buffer.from(randomBytes(bytes)).toString('base64url')
}
