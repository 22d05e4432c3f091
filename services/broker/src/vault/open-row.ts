import { type SealContext, UnknownKeyError, VaultIntegrityError, readKeyId } from '@nexus/crypto'
import type { SealedKind } from './sealed-kinds.ts'
import type { SealedRow } from './sealed-row-store.ts'

/** `damaged`: not what was sealed here. `key_unavailable`: its key is not configured, and nothing is known to be wrong. */
export type RowProblem = 'damaged' | 'key_unavailable'

/** What became of a row's ciphertext in the hands of `work`, or why it could not be opened. */
export function openRow<Result>(
  kind: SealedKind,
  row: SealedRow,
  work: (sealed: Buffer, context: SealContext) => Result,
): { readonly result: Result } | { readonly problem: RowProblem } {
  try {
    // else a changed byte of the key id would pass for a key that somebody forgot to configure
    if (readKeyId(row.sealed) !== row.keyId) return { problem: 'damaged' }
    return { result: work(row.sealed, { purpose: kind.purpose, recordId: row.id, version: row.version }) }
  } catch (error) {
    if (error instanceof UnknownKeyError) return { problem: 'key_unavailable' }
    // a RangeError: a version that nobody seals with
    if (error instanceof VaultIntegrityError || error instanceof RangeError) return { problem: 'damaged' }
    throw error
  }
}
