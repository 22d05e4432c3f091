import type { Zone, ZoneList } from '@nexus/contracts'
import { type Manager, managedZones, readAuthority } from '../agents/authority.ts'
import { countTokensByZone } from '../agents/list-tokens.ts'
import type { Queryable } from '../db/database.ts'
import * as store from './store.ts'

export type ZoneQuery = { readonly limit: number; readonly cursor?: string | undefined }

/**
 * One page, by name: every zone for an administrator, its own ones for any other manager. Of their tokens those count that it
 * manages.
 */
export async function listZones(
  database: Queryable,
  manager: Manager,
  { limit, cursor }: ZoneQuery,
): Promise<ZoneList> {
  const authority = await readAuthority(database, manager)
  const rows = await store.selectZones(database, {
    names: authority.isAdmin ? undefined : [...authority.zones.keys()],
    after: cursor,
    limit: limit + 1,
  })
  const page = rows.slice(0, limit)
  const tokens = await countTokensByZone(
    database,
    page.map(({ name }) => name),
    managedZones(authority),
  )
  return {
    zones: page.map((zone) => describeZone(zone, tokens.get(zone.name) ?? 0)),
    // a name is no secret to whoever was shown it
    next_cursor: rows.length > limit ? (page.at(-1)?.name ?? null) : null,
  }
}

/** Of these names, those of zones that are not there: a slip, or a zone that is yet to be made. */
export async function listMissingZones(database: Queryable, names: readonly string[]): Promise<readonly string[]> {
  return names.length === 0 ? [] : store.selectMissing(database, names)
}

export function countZones(database: Queryable): Promise<number> {
  return store.countZones(database)
}

export function describeZone({ name, createdAt, connections }: store.StoredZone, tokens: number): Zone {
  return { name, created_at: createdAt.toISOString(), connections, tokens }
}
