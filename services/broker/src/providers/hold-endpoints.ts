import type { Queryable } from '../db/database.ts'
import { findMovedEndpoint, usesAlike } from './profile-changes.ts'
import type { Provider } from './provider.ts'
import * as store from './store.ts'

/**
 * Keeps a profile from being moved to another origin, and what was typed in for it from being used otherwise, until the
 * transaction ends, which brings its first account.
 *
 * @param provider - the profile as it was when its grant was asked for
 * @returns false where that has happened since: what was granted would be sent to somebody who never granted it (A3), or
 *   what was typed in be of no use
 */
export async function holdEndpoints(transaction: Queryable, provider: Provider): Promise<boolean> {
  const stored = await store.selectProviderForShare(transaction, provider.id)
  return stored !== undefined && findMovedEndpoint(provider, stored) === undefined && usesAlike(provider, stored)
}
