import { type Keyring, checkCanary } from '@nexus/crypto'
import type { Queryable } from '../db/database.ts'
import { type RowCounts, describeCounts, sealedKinds } from './sealed-kinds.ts'
import * as store from './store.ts'

/** Why the configured keys do not fit this database. The message says what to do; it names key ids, never keys. */
export class KeyMismatchError extends Error {
  override readonly name = 'KeyMismatchError'
}

/**
 * Every configured key that the database knows is the one it was sealed with, proven by its canary, not by its id.
 *
 * @throws KeyMismatchError
 */
export function assertCanariesOpen(registered: readonly store.RegisteredKey[], keyring: Keyring): void {
  for (const { keyId, canary } of registered) {
    if (keyring.has(keyId) && !checkCanary(keyring, keyId, canary)) {
      throw new KeyMismatchError(`the configured key with the id ${keyId} is not the one this database was sealed with`)
    }
  }
}

/**
 * At least one of the configured keys is proven to be this database's: else a wrong database, or wrong keys.
 *
 * @throws KeyMismatchError
 */
export function assertOneIsKnown(registered: readonly store.RegisteredKey[], keyring: Keyring): void {
  if (registered.length === 0) {
    throw new KeyMismatchError(
      'no key is registered in this database yet: the first Broker that starts registers its own',
    )
  }
  assertCanariesOpen(registered, keyring)
  if (registered.some(({ keyId }) => keyring.has(keyId))) return
  throw new KeyMismatchError(
    `none of the configured keys (${keyring.ids.join(', ')}) is registered in this database, which knows ` +
      `${registered.map(({ keyId }) => keyId).join(', ')}: is DATABASE_URL right, and is ENCRYPTION_KEY?`,
  )
}

/**
 * Nothing is left behind by a key that went away too early: every registered key that is not retired is configured,
 * rows or not, and so is, whatever became of it, every key that a row was sealed with (V2, V4).
 *
 * @throws KeyMismatchError with the count of the rows that would be stranded
 */
export async function assertNoKeyMissing(
  database: Queryable,
  registered: readonly store.RegisteredKey[],
  keyring: Keyring,
): Promise<void> {
  const expected = registered.filter(({ retiredAt }) => retiredAt === null).map(({ keyId }) => keyId)
  const needed = [...expected, ...(await listKeyIdsInUse(database))]
  const missing = new Set(needed.filter((keyId) => !keyring.has(keyId)))
  if (missing.size === 0) return
  const rows = await countRows(database, [...missing])
  const described = [...missing].map((keyId) => {
    const counts = describeCounts(rows.get(keyId) ?? {})
    return `the key with the id ${keyId} (${counts === '' ? 'no rows yet' : counts})`
  })
  throw new KeyMismatchError(
    `this database needs ${described.join(' and ')}, and it is not configured: ` +
      'set it as ENCRYPTION_KEY, or add it to ENCRYPTION_KEYS_EXTRA. nexus-broker keys status tells more',
  )
}

/** @throws KeyMismatchError unless ENCRYPTION_KEY is registered and not retired. */
export function assertPrimaryMaySeal(registered: readonly store.RegisteredKey[], keyring: Keyring): void {
  const known = registered.find(({ keyId }) => keyId === keyring.primaryId)
  if (known === undefined) {
    throw new KeyMismatchError(
      `ENCRYPTION_KEY (id ${keyring.primaryId}) is not registered in this database, so it may not seal. ` +
        'Is it the right key? A new one is registered by: nexus-broker keys add (docs/operations.md, Key management)',
    )
  }
  if (known.retiredAt !== null) {
    const living = registered.filter(({ retiredAt }) => retiredAt === null).map(({ keyId }) => keyId)
    throw new KeyMismatchError(
      `ENCRYPTION_KEY (id ${keyring.primaryId}) is retired in this database: it opens, and may not seal. Make the key ` +
        `with the id ${living.join(' or ')} ENCRYPTION_KEY and move this one to ENCRYPTION_KEYS_EXTRA; or, if it ` +
        'is to seal again, run: nexus-broker keys add',
    )
  }
}

/** All key ids that rows name, each once. */
export async function listKeyIdsInUse(database: Queryable): Promise<ReadonlySet<string>> {
  const used = new Set<string>()
  for (const kind of sealedKinds) for (const keyId of await store.selectKeyIdsInUse(database, kind)) used.add(keyId)
  return used
}

/** Rows by key id and kind. @param among - only of these key ids. */
export async function countRows(
  database: Queryable,
  among?: readonly string[],
): Promise<ReadonlyMap<string, RowCounts>> {
  const counts = new Map<string, RowCounts>()
  for (const { keyId, purpose, rows } of await store.countRowsByKey(database, among)) {
    counts.set(keyId, { ...counts.get(keyId), [purpose]: rows })
  }
  return counts
}
