import type { Queryable } from '../db/database.ts'
import { raiseChanges } from './identity-store.ts'
import * as store from './store.ts'

/** Comes first in every transaction that changes what tokens may do: its lock puts them all in one order. */
export function numberChange(transaction: Queryable): Promise<number> {
  return raiseChanges(transaction)
}

/**
 * For a zone that goes: its tokens lose it, and those that have no other end with it.
 * @returns how many ended
 */
export async function takeZoneFromTokens(transaction: Queryable, zone: string, seq: number): Promise<number> {
  const ended = await store.revokeTokensOfZoneAlone(transaction, zone, seq)
  await store.deleteGrantsOfZone(transaction, zone, seq)
  return ended
}
