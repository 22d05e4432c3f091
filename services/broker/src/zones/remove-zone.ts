import type { ZoneRemoved } from '@nexus/contracts'
import { AppError } from '@nexus/service'
import { rootZone } from '../agents/agent.ts'
import { type Manager, assertAdmin, beginChange } from '../agents/authority.ts'
import type { ChangeSignal } from '../agents/change-signal.ts'
import { takeZoneFromTokens } from '../agents/take-zone.ts'
import type { Origin } from '../audit/audit-event.ts'
import { recordEvent } from '../audit/record-event.ts'
import type { Database } from '../db/database.ts'
import { zoneUnknown } from './hold-zones.ts'
import * as store from './store.ts'

export type RemoveZoneDeps = {
  readonly database: Database
  readonly createId: () => string
  readonly signal: Pick<ChangeSignal, 'send'>
}

export type ZoneRemoval = {
  readonly name: string
  /** Disconnects what is connected in it. */
  readonly force: boolean
  readonly origin: Origin
}

/**
 * Removes a zone: tokens lose it, and those that have no other are revoked. Its connections, where there are any, are
 * disconnected in the background, since nobody could see them any more.
 * @throws AppError `zone_not_found`, `zone_not_empty` with how many connections without `force`, `invalid_request` for root,
 *   `insufficient_permission`, `invalid_token`
 */
export async function removeZone(
  deps: RemoveZoneDeps,
  manager: Manager,
  { name, force, origin }: ZoneRemoval,
): Promise<ZoneRemoved> {
  if (name === rootZone) throw new AppError('invalid_request', 'The zone root cannot be removed.')
  const removed = await deps.database.transaction(async (transaction): Promise<ZoneRemoved> => {
    const { seq, authority } = await beginChange(transaction, manager)
    assertAdmin(authority)
    if (!(await store.lockZone(transaction, name))) throw zoneUnknown(name)
    const connections = await store.countLivingConnections(transaction, name)
    if (connections > 0 && !force) {
      throw new AppError('zone_not_empty', `The zone ${name} still has connections: ${connections}.`, {
        details: { zone: name, connections },
      })
    }
    const tokensRevoked = await takeZoneFromTokens(transaction, name, seq)
    await store.updateToRemoved(transaction, name)
    await recordEvent(transaction, deps.createId(), {
      event: 'zone.removed',
      outcome: 'success',
      origin,
      zone: name,
      data: { connections, tokens_revoked: tokensRevoked },
    })
    return { name, connections, tokens_revoked: tokensRevoked }
  })
  deps.signal.send()
  return removed
}
