import type { Keyring } from '@nexus/crypto'
import type { Queryable } from '../db/database.ts'
import { assertCanariesOpen, countRows } from './check-keys.ts'
import { type RowCounts, sumCounts } from './sealed-kinds.ts'
import * as store from './store.ts'

export type KeyStatus = {
  readonly id: string
  /** What it does in the configuration that was asked with. */
  readonly role: 'seals' | 'opens' | 'not_configured'
  readonly registeredAt: Date | null
  readonly retiredAt: Date | null
  readonly rows: RowCounts
}

/**
 * Every key that is configured, registered, or named by a row; the one that seals first, then by age.
 *
 * @throws KeyMismatchError where a configured key shares its id with another one that is registered
 */
export async function readKeyStatus(database: Queryable, keyring: Keyring): Promise<readonly KeyStatus[]> {
  const registered = await store.selectKeys(database)
  assertCanariesOpen(registered, keyring)
  const rows = await countRows(database)
  const known = new Map(registered.map((key) => [key.keyId, key]))
  const ids = new Set([keyring.primaryId, ...known.keys(), ...keyring.ids, ...rows.keys()])
  return [...ids].map((id) => ({
    id,
    role: roleOf(id, keyring),
    registeredAt: known.get(id)?.registeredAt ?? null,
    retiredAt: known.get(id)?.retiredAt ?? null,
    rows: rows.get(id) ?? {},
  }))
}

function roleOf(id: string, keyring: Keyring): KeyStatus['role'] {
  if (id === keyring.primaryId) return 'seals'
  return keyring.has(id) ? 'opens' : 'not_configured'
}

/** Rows that nobody with this configuration can open. */
export function findStranded(keys: readonly KeyStatus[]): readonly KeyStatus[] {
  return keys.filter(({ role, rows }) => role === 'not_configured' && sumCounts(rows) > 0)
}
