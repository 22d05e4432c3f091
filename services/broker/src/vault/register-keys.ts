import { type Keyring, sealCanary } from '@nexus/crypto'
import type { Database } from '../db/database.ts'
import { assertCanariesOpen, assertNoKeyMissing, assertPrimaryMaySeal } from './check-keys.ts'
import * as store from './store.ts'

/**
 * Proves, before anything is read or written, that the configured keys are the ones this database was sealed with (V2):
 * each opens its canary, none that is registered or that a row needs is missing, and the key that seals may do so. On an
 * empty database it registers itself, under the lock of the migrations, so that of two Brokers with different keys only
 * one can start.
 *
 * @throws KeyMismatchError
 */
export async function registerKeys(database: Database, keyring: Keyring, lockId: number): Promise<void> {
  await database.transaction(async (transaction) => {
    await store.lockRegistration(transaction, lockId)
    const registered = await store.selectKeys(transaction)
    assertCanariesOpen(registered, keyring)
    await assertNoKeyMissing(transaction, registered, keyring)
    if (registered.length > 0) assertPrimaryMaySeal(registered, keyring)
    else await store.insertKey(transaction, keyring.primaryId, sealCanary(keyring))
  })
}
