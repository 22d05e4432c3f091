import type { Hub, Zone } from '@nexus/contracts'
import { listEvery } from './list-every.ts'

export function listZones(hub: Hub): Promise<readonly Zone[]> {
  return listEvery(async (page) => {
    const { zones, next_cursor } = await hub.listZones(page)
    return { items: zones, nextCursor: next_cursor }
  })
}

export async function listZoneNames(hub: Hub): Promise<readonly string[]> {
  return (await listZones(hub)).map(({ name }) => name)
}
