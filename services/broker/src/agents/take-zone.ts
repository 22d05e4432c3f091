import type { Queryable } from '../db/database.ts'
import * as store from './store.ts'

/**
 * For a zone that goes: its tokens lose it, and those that have no other end with it.
 * @returns how many ended
 */
export async function takeZoneFromTokens(transaction: Queryable, zone: string, seq: number): Promise<number> {
  const ended = await store.revokeTokensOfZoneAlone(transaction, zone, seq)
  await store.deleteGrantsOfZone(transaction, zone, seq)
  await store.updateFirstZones(transaction, zone)
  return ended
}

/**
 * For a zone whose name is given anew: revoked tokens had it on record, and whoever manages the new one would be shown them.
 * Operators still find them.
 */
export function forgetZoneOfTokens(transaction: Queryable, zone: string): Promise<void> {
  return store.deleteRecordsOfZone(transaction, zone)
}
