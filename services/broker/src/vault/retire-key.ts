import { recordEvent } from '../audit/record-event.ts'
import type { KeyChangeDeps } from './add-keys.ts'
import { KeyMismatchError, assertOneIsKnown, assertPrimaryMaySeal, countRows } from './check-keys.ts'
import { describeCounts } from './sealed-kinds.ts'
import * as store from './store.ts'

/**
 * Gives up a registered key that no row needs: a new one that was lost before it sealed, or that shall not be used after
 * all. From then on Brokers start without it. It need not be configured.
 *
 * @returns false where it was retired already
 * @throws KeyMismatchError where it seals, is unknown, or a row needs it
 */
export async function retireKey(deps: KeyChangeDeps, keyId: string): Promise<boolean> {
  const { database, keyring, createId, origin, lockId } = deps
  return database.transaction(async (transaction) => {
    await store.lockRegistration(transaction, lockId)
    const registered = await store.selectKeys(transaction)
    assertOneIsKnown(registered, keyring)
    assertPrimaryMaySeal(registered, keyring)
    const known = registered.find((key) => key.keyId === keyId)
    if (known === undefined) throw new KeyMismatchError(`no key with the id ${keyId} is registered in this database`)
    if (keyId === keyring.primaryId) throw new KeyMismatchError(`the key with the id ${keyId} is the one that seals`)
    const needed = describeCounts((await countRows(transaction, [keyId])).get(keyId) ?? {})
    if (needed !== '') {
      throw new KeyMismatchError(`rows need the key with the id ${keyId} (${needed}): run nexus-broker keys rotate`)
    }
    if (known.retiredAt !== null) return false
    await store.retireKey(transaction, keyId)
    await recordEvent(transaction, createId(), {
      event: 'keys.retired',
      outcome: 'success',
      origin,
      data: { key: keyId },
    })
    return true
  })
}
