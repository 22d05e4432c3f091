import type { Zone } from '@nexus/contracts'
import { AppError } from '@nexus/service'
import { type Manager, assertAdmin, holdAuthority } from '../agents/authority.ts'
import { forgetZoneOfTokens } from '../agents/take-zone.ts'
import type { Origin } from '../audit/audit-event.ts'
import { recordEvent } from '../audit/record-event.ts'
import type { Database, Queryable } from '../db/database.ts'
import { describeZone } from './list-zones.ts'
import * as store from './store.ts'

export type CreateZoneDeps = { readonly database: Database; readonly createId: () => string }

/**
 * Makes a zone. The name of a removed one is free again once nothing of its past is left: whoever gets the name would else
 * be shown it.
 * @throws AppError `zone_exists`, `insufficient_permission`, `invalid_token`
 */
export function createZone(deps: CreateZoneDeps, manager: Manager, name: string, origin: Origin): Promise<Zone> {
  return deps.database.transaction(async (transaction) => {
    assertAdmin(await holdAuthority(transaction, manager))
    const [inserted] = await store.insertZones(transaction, [name])
    if (inserted === undefined) await reviveZone(transaction, name)
    await recordEvent(transaction, deps.createId(), {
      event: 'zone.created',
      outcome: 'success',
      origin,
      zone: name,
    })
    const [zone] = await store.selectZones(transaction, { names: [name], after: undefined, limit: 1 })
    if (zone === undefined) throw new Error('the zone that was just made is not there')
    // revoked ones do not count, and living ones lost it when it was removed
    return describeZone(zone, 0)
  })
}

/** @throws AppError `zone_exists` */
async function reviveZone(transaction: Queryable, name: string): Promise<void> {
  if (await store.reviveZone(transaction, name)) return forgetZoneOfTokens(transaction, name)
  const remains = await store.selectRemains(transaction, name)
  throw new AppError('zone_exists', describeTaken(name, remains), { details: { zone: name } })
}

function describeTaken(name: string, remains: Awaited<ReturnType<typeof store.selectRemains>>): string {
  if (remains === undefined) return `There is a zone ${name} already.`
  return remains.hasConnections
    ? `The zone ${name} was removed, and its connections are still on record: choose another name.`
    : `The zone ${name} was removed, and provider profiles still name it: save them anew, or choose another name.`
}
