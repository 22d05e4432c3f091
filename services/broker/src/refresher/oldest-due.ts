import type { Queryable } from '../db/database.ts'
import { selectOldestDue } from './observe-store.ts'

/** Seconds for which the longest-due token has been waiting; 0 where none is due. */
export async function readOldestDue(database: Queryable): Promise<number> {
  return (await selectOldestDue(database)) ?? 0
}
