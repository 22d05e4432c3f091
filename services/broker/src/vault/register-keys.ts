import { type Keyring, checkCanary, sealCanary } from '@nexus/crypto'
import type { Database } from '../db/database.ts'
import * as store from './store.ts'

/** Why the configured keys do not fit this database. The message says what to do; it names key ids, never keys. */
export class KeyMismatchError extends Error {
  override readonly name = 'KeyMismatchError'
}

/**
 * Proves, before anything is read or written, that the configured keys are the ones this database was sealed with (V2):
 * every registered key that is not retired must be in the keyring and open its canary, and the key that seals must be
 * registered. On an empty database it registers itself, under the lock of the migrations, so that of two Brokers with
 * different keys only one can start.
 *
 * @throws KeyMismatchError
 */
export async function registerKeys(database: Database, keyring: Keyring, lockId: number): Promise<void> {
  await database.transaction(async (transaction) => {
    await store.lockRegistration(transaction, lockId)
    const registered = await store.selectKeys(transaction)
    if (registered.length === 0) {
      await store.insertKey(transaction, keyring.primaryId, sealCanary(keyring))
      return
    }
    for (const { keyId, canary, isRetired } of registered) {
      if (!keyring.has(keyId)) {
        if (!isRetired) throw await missingKey(transaction, keyId)
      } else if (!checkCanary(keyring, keyId, canary)) {
        throw new KeyMismatchError(
          `the configured key with the id ${keyId} is not the one this database was sealed with`,
        )
      }
    }
    if (!registered.some(({ keyId, isRetired }) => keyId === keyring.primaryId && !isRetired)) {
      throw new KeyMismatchError(
        `ENCRYPTION_KEY (id ${keyring.primaryId}) is not registered in this database, so it may not seal. ` +
          'Is it the right key? A new key is registered before it may seal; see docs/deployment.md, Key management.',
      )
    }
  })
}

async function missingKey(
  transaction: Parameters<typeof store.countRowsByKey>[0],
  keyId: string,
): Promise<KeyMismatchError> {
  const rows = (await store.countRowsByKey(transaction)).filter((entry) => entry.keyId === keyId)
  const needed = rows.map(({ kind, rows: count }) => `${count} ${kind}`).join(', ')
  return new KeyMismatchError(
    `this database needs the key with the id ${keyId} (${needed === '' ? 'no rows yet' : needed}), and it is not configured: ` +
      'set it as ENCRYPTION_KEY, or add it to ENCRYPTION_KEYS_EXTRA',
  )
}
