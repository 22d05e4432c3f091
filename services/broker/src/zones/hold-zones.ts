import { AppError } from '@nexus/service'
import type { Queryable } from '../db/database.ts'
import * as store from './store.ts'

/** Zones in which something is made: they stay until the transaction ends. @throws AppError `zone_not_found` */
export async function holdZones(transaction: Queryable, names: readonly string[]): Promise<void> {
  const there = await store.selectZonesForShare(transaction, names)
  const missing = names.find((name) => !there.has(name))
  if (missing !== undefined) throw zoneUnknown(missing)
}

/** An installation that has no zone but root gets those that are named: its operator need not know that they are made. */
export async function createFirstZones(transaction: Queryable, names: readonly string[]): Promise<void> {
  if (await store.hasOnlyRoot(transaction)) await store.insertZones(transaction, names)
}

export function zoneUnknown(zone: string): AppError {
  return new AppError('zone_not_found', `There is no zone ${zone}.`, { details: { zone } })
}
