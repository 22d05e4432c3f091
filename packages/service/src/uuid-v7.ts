const counterBits = 12
const counterLimit = 2 ** counterBits

/**
 * Makes UUIDs of version 7 that never go backwards within this generator (RFC 9562 §5.7, §6.2 method 1): `rand_a` is a
 * counter that starts at random in its lower half each millisecond; when it runs out, or the clock steps back, the
 * timestamp runs ahead instead.
 *
 * @param now - milliseconds since the epoch
 * @param randomBytes - cryptographically random bytes
 */
export function createUuidV7(now: () => number, randomBytes: (size: number) => Uint8Array): () => string {
  let lastMilliseconds = -1
  let counter = 0
  return () => {
    const bytes = Buffer.from(randomBytes(16))
    const milliseconds = now()
    if (milliseconds > lastMilliseconds) {
      lastMilliseconds = milliseconds
      counter = bytes.readUInt16BE(6) % (counterLimit / 2)
    } else {
      counter += 1
      if (counter === counterLimit) {
        lastMilliseconds += 1
        counter = 0
      }
    }
    bytes.writeUIntBE(lastMilliseconds, 0, 6)
    bytes.writeUInt16BE(0x7000 | counter, 6)
    bytes.writeUInt8(0x80 | (bytes.readUInt8(8) & 0x3f), 8)
    return format(bytes.toString('hex'))
  }
}

function format(hex: string): string {
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`
}

/**
 * Draws random bytes in large pieces and hands them out in small ones: one system call for hundreds of ids. For ids, not
 * for secrets, since what is drawn lies in memory until it is used.
 */
export function drawAhead(randomBytes: (size: number) => Uint8Array, bytesAhead = 8_192): (size: number) => Uint8Array {
  let drawn: Uint8Array = new Uint8Array(0)
  return (size) => {
    if (drawn.length < size) drawn = randomBytes(Math.max(size, bytesAhead))
    const taken = drawn.subarray(0, size)
    drawn = drawn.subarray(size)
    return taken
  }
}
