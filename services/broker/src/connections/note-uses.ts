import type { Queryable } from '../db/database.ts'
import type { Use } from '../db/last-used.ts'
import { touchLastUsed } from './store.ts'

export function noteConnectionUses(database: Queryable, uses: readonly Use[]): Promise<void> {
  return touchLastUsed(database, uses)
}
