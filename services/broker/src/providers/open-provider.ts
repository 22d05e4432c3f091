import type { Queryable } from '../db/database.ts'
import type { SecretVault } from '../vault/secret-vault.ts'
import type { Provider } from './provider.ts'
import { selectProviderWithSecret } from './store.ts'

/** A provider with its client secret in plaintext: hold it for one exchange, and never longer. */
export type OpenedProvider = { readonly provider: Provider; readonly clientSecret: string | undefined }

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
