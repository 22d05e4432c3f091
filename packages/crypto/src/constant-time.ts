import { timingSafeEqual } from 'node:crypto'
import { sha256 } from './digest.ts'

/**
 * Whether two secrets are the same bytes (a text counts as its UTF-8), in a time that depends on their lengths only.
 * Digests are compared, not the values: they are equally long, so even a length that differs ends no earlier, and where
 * the first difference lies tells nothing about the value.
 */
export function equalInConstantTime(a: string | Uint8Array, b: string | Uint8Array): boolean {
  return timingSafeEqual(sha256(a), sha256(b))
}
