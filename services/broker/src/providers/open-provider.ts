import type { Queryable } from '../db/database.ts'
import type { SecretVault } from '../vault/secret-vault.ts'
import type { OpenedProvider } from './provider.ts'
import { selectProviderWithSecret } from './store.ts'

/**
 * Opens a profile for a call to its provider, deleted ones included: their connections go on being refreshed.
 * @throws AppError `vault_integrity`, `key_unavailable`
 */
export async function openProvider(database: Queryable, vault: SecretVault, id: string): Promise<OpenedProvider> {
  const opened = await selectProviderWithSecret(database, vault, id)
  // rows that refer to a profile keep it from being deleted for good
  if (opened === undefined) throw new Error(`the profile ${id} has vanished`)
  return opened
}
