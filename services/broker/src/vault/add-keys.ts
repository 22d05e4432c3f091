import { type Keyring, sealCanary } from '@nexus/crypto'
import type { Origin } from '../audit/audit-event.ts'
import { recordEvent } from '../audit/record-event.ts'
import type { Database } from '../db/database.ts'
import { assertOneIsKnown } from './check-keys.ts'
import * as store from './store.ts'

export type KeyChangeDeps = {
  readonly database: Database
  readonly keyring: Keyring
  readonly createId: () => string
  readonly origin: Origin
  /** Of the advisory lock under which keys are registered. */
  readonly lockId: number
}

export type AddedKeys = { readonly added: readonly string[]; readonly restored: readonly string[] }

/**
 * Registers every configured key that is not registered yet, so that it may seal later. Brokers that lack one of them do
 * not start any more, so it is given to all of them first (data.md, Vault envelope).
 *
 * A retired key is registered anew only where it is ENCRYPTION_KEY, which says that it shall seal: among the extra keys
 * it is there to open what it sealed, and registered again it could never be taken out.
 *
 * @throws KeyMismatchError where no configured key is this database's: a wrong database, or wrong keys
 */
export async function addKeys({ database, keyring, createId, origin, lockId }: KeyChangeDeps): Promise<AddedKeys> {
  return database.transaction(async (transaction) => {
    await store.lockRegistration(transaction, lockId)
    const registered = await store.selectKeys(transaction)
    assertOneIsKnown(registered, keyring)
    const added = keyring.ids.filter((id) => !registered.some(({ keyId }) => keyId === id))
    const restored = registered
      .filter(({ keyId, retiredAt }) => keyId === keyring.primaryId && retiredAt !== null)
      .map(({ keyId }) => keyId)
    // the one that seals comes last and is the newest: rotation retires what is older than it
    for (const keyId of added.toReversed()) await store.insertKey(transaction, keyId, sealCanary(keyring, keyId))
    for (const keyId of restored) await store.updateKeyToRegistered(transaction, keyId)
    if (added.length + restored.length > 0) {
      const event = { event: 'keys.added', outcome: 'success', origin, data: { added, restored } } as const
      await recordEvent(transaction, createId(), event)
    }
    return { added, restored }
  })
}
