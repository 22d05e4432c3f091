import type { Queryable } from '../db/database.ts'
import * as store from './store.ts'

/**
 * Ends every handshake of a connection that is disconnected, and forgets what its attempts keep. One whose code is being
 * exchanged ends by itself: it finds the connection revoked, and what it was granted goes the same way.
 *
 * It comes first in its transaction: the rows of the handshakes are where all meet who change a connection by one.
 */
export function endHandshakes(transaction: Queryable, connectionId: string): Promise<void> {
  return store.endHandshakesOf(transaction, connectionId)
}
