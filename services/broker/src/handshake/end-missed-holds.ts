import { systemOrigin } from '../audit/audit-event.ts'
import type { Database } from '../db/database.ts'
import { destroyHolds } from './complete-connection.ts'
import { lockHolds, selectMissedHolds } from './hold-store.ts'

export type EndMissedHoldsDeps = { readonly database: Database; readonly createId: () => string }

/**
 * Destroys what no app has completed in time. Of several Brokers that come at once, one finds it.
 * @returns how many connections were looked at
 */
export async function endMissedHolds({ database, createId }: EndMissedHoldsDeps, limit: number): Promise<number> {
  const connectionIds = await selectMissedHolds(database, limit)
  for (const connectionId of connectionIds) {
    await database.transaction(async (transaction) => {
      const missed = (await lockHolds(transaction, connectionId)).filter(({ isLate }) => isLate)
      await destroyHolds({ createId }, transaction, connectionId, missed, 'completion_missed', systemOrigin)
    })
  }
  return connectionIds.length
}
