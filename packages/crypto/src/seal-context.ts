/**
 * What a sealed value is for. The labels are part of the format: they outlive the names of tables and columns, and a
 * label that changes makes everything sealed under it unreadable.
 */
export const sealPurposes = [
  'token',
  'client-secret',
  'handshake-attempt',
  'revocation',
  'refresh-spool',
  'key-canary',
] as const

export type SealPurpose = (typeof sealPurposes)[number]

/** Where a sealed value belongs. It opens nowhere else. */
export type SealContext = {
  readonly purpose: SealPurpose
  /** The id of the row: 1 to 255 characters. */
  readonly recordId: string
  /** The version of the secret itself, not of the row: it changes only in the statement that writes the ciphertext. */
  readonly version: number
}

export type EncodedContext = {
  /** For HKDF: purpose and record id, so that each record has a key of its own. Lies inside `aad`. */
  readonly info: Buffer
  /** Additional authenticated data: `nexus:1`, purpose, record id, version. */
  readonly aad: Buffer
}

/**
 * Each part stands behind its own length (32 bits, big-endian): without that, ("ab", "c") and ("a", "bc") would give the
 * same bytes, and a ciphertext of the one would open as the other.
 *
 * @throws RangeError on a record id or version that has no single encoding
 */
export function encodeContext({ purpose, recordId, version }: SealContext): EncodedContext {
  // Unpaired surrogates all become U+FFFD in UTF-8, so two ids could share a key.
  if (recordId === '' || recordId.length > 255 || !recordId.isWellFormed()) throw new RangeError('unusable record id')
  // Beyond 2⁵³ neighbouring numbers look alike; below, the decimal digits of a whole number are its only spelling.
  if (!Number.isSafeInteger(version) || version < 0) throw new RangeError('a version must be a whole number')

  // UTF-8 takes at most three bytes for a UTF-16 unit; protocol, version and the four lengths take at most 39 together.
  const bytes = Buffer.allocUnsafe(39 + 3 * (purpose.length + recordId.length))
  const infoStart = writePart(bytes, 0, 'nexus:1')
  const infoEnd = writePart(bytes, writePart(bytes, infoStart, purpose), recordId)
  const end = writePart(bytes, infoEnd, String(version))
  return { info: bytes.subarray(infoStart, infoEnd), aad: bytes.subarray(0, end) }
}

/** Returns the offset behind what it wrote. */
function writePart(bytes: Buffer, offset: number, part: string): number {
  const length = bytes.write(part, offset + 4)
  bytes.writeUInt32BE(length, offset)
  return offset + 4 + length
}
