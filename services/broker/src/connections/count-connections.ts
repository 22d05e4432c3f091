import type { ConnectionStatus } from '@nexus/contracts'
import type { Queryable } from '../db/database.ts'
import { countByStatus } from './store.ts'

/** How many connections, of these zones or of all, read as each status now. Reads an entry of an index for each of them. */
export async function countConnections(
  database: Queryable,
  zones?: readonly string[],
): Promise<ReadonlyMap<ConnectionStatus, number>> {
  const counted = await countByStatus(database, zones)
  return new Map(counted.map(({ status, count }) => [status, count]))
}
