import type { Hub, Zone } from '@nexus/contracts'
import { CliError } from '../errors.ts'
import { listEvery } from './list-every.ts'

export function listZones(hub: Hub): Promise<readonly Zone[]> {
  return listEvery(async (page) => {
    const { zones, next_cursor } = await hub.listZones(page)
    return { items: zones, nextCursor: next_cursor }
  })
}

/** @throws CliError with those there are */
export async function assertZoneExists(hub: Hub, zone: string): Promise<void> {
  const names = await listZoneNames(hub)
  if (!names.includes(zone)) throw new CliError(`there is no zone ${zone}; there are: ${names.join(', ')}`)
}

export async function listZoneNames(hub: Hub): Promise<readonly string[]> {
  return (await listZones(hub)).map(({ name }) => name)
}
