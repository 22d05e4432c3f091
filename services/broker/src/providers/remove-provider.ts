import type { Origin } from '../audit/audit-event.ts'
import { recordEvent } from '../audit/record-event.ts'
import type { Database } from '../db/database.ts'
import { providerNotFound } from './save-provider.ts'
import * as store from './store.ts'

type RemoveProviderDeps = { readonly database: Database; readonly createId: () => string }

export type Removal = {
  readonly origin: Origin
  /** Its connections are disconnected too, in the background; else they keep working and refreshing. */
  readonly disconnects: boolean
}

export type Removed = {
  /** How many connections are being disconnected; undefined where that was not asked. */
  readonly disconnecting: { readonly connections: number } | undefined
}

/**
 * Takes a profile away from listings and new handshakes. What its connections need of it stays: for refreshing them, or
 * for revoking what they were granted. Whoever removed it without disconnecting may ask for that later, by its id.
 * @throws AppError `provider_not_found`
 */
export function removeProvider(
  deps: RemoveProviderDeps,
  id: string,
  { origin, disconnects }: Removal,
): Promise<Removed> {
  return deps.database.transaction(async (transaction) => {
    const name = await store.markProviderDeleted(transaction, id, disconnects)
    if (name === undefined) throw providerNotFound()
    const connections = disconnects ? await store.countLivingConnections(transaction, id) : undefined
    await recordEvent(transaction, deps.createId(), {
      event: 'provider.deleted',
      outcome: 'success',
      origin,
      providerId: id,
      data: { name, ...(connections !== undefined && { disconnecting: connections }) },
    })
    return { disconnecting: connections === undefined ? undefined : { connections } }
  })
}

/** By name or alias. @throws AppError `provider_not_found` */
export async function removeProviderByName(deps: RemoveProviderDeps, name: string, removal: Removal): Promise<Removed> {
  const provider = await store.selectProviderByName(deps.database, name)
  if (provider === undefined) throw providerNotFound()
  return removeProvider(deps, provider.id, removal)
}
