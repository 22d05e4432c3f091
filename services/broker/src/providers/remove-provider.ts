import type { Origin } from '../audit/audit-event.ts'
import { recordEvent } from '../audit/record-event.ts'
import type { Database } from '../db/database.ts'
import { providerNotFound, requireProvider } from './save-provider.ts'
import * as store from './store.ts'

type RemoveProviderDeps = { readonly database: Database; readonly createId: () => string }

/**
 * Takes a profile away from listings and new handshakes. Connections that exist keep working and refreshing, so what the
 * refresh needs of the profile stays. @throws AppError `provider_not_found`
 */
export async function removeProvider(deps: RemoveProviderDeps, id: string, origin: Origin): Promise<void> {
  const provider = await requireProvider(deps.database, id)
  await deps.database.transaction(async (transaction) => {
    if (!(await store.markProviderDeleted(transaction, id))) throw providerNotFound()
    await recordEvent(transaction, deps.createId(), {
      event: 'provider.deleted',
      outcome: 'success',
      origin,
      providerId: id,
      data: { name: provider.name },
    })
  })
}

/** By name or alias. @throws AppError `provider_not_found` */
export async function removeProviderByName(deps: RemoveProviderDeps, name: string, origin: Origin): Promise<void> {
  const provider = await store.selectProviderByName(deps.database, name)
  if (provider === undefined) throw providerNotFound()
  await removeProvider(deps, provider.id, origin)
}
