import { promisify } from 'node:util'
import { brotliDecompress, gunzip, inflate } from 'node:zlib'
import { ProviderError } from './provider-errors.ts'

// Nexus asks for none of these; some servers compress whatever one asks.
const decoders = new Map([
  ['gzip', promisify(gunzip)],
  ['x-gzip', promisify(gunzip)],
  ['deflate', promisify(inflate)],
  ['br', promisify(brotliDecompress)],
])

/**
 * Undoes a Content-Encoding (RFC 9110 §8.4) without ever holding more than `maxBytes` of what comes out.
 *
 * @throws ProviderError `invalid_answer` for an unknown or stacked encoding, for damaged data, for a body too large.
 */
export async function decodeContent(bytes: Buffer, encoding: string | null, maxBytes: number): Promise<Buffer> {
  const name = (encoding ?? '').trim().toLowerCase()
  if (name === '' || name === 'identity' || bytes.length === 0) return bytes
  const decode = decoders.get(name)
  if (decode === undefined) throw new ProviderError('invalid_answer', 'the answer has an unknown content encoding')
  try {
    return await decode(bytes, { maxOutputLength: maxBytes })
  } catch (error) {
    const isTooLarge = error instanceof RangeError && 'code' in error && error.code === 'ERR_BUFFER_TOO_LARGE'
    throw new ProviderError('invalid_answer', isTooLarge ? 'the answer is too large' : 'the answer does not decompress')
  }
}
