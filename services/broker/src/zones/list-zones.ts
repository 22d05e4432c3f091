import type { Zone, ZoneList } from '@nexus/contracts'
import { type Manager, holdAuthority } from '../agents/authority.ts'
import type { Database, Queryable } from '../db/database.ts'
import * as store from './store.ts'

export type ZoneQuery = { readonly limit: number; readonly cursor?: string | undefined }

/** One page, by name: every zone for an administrator, its own ones for any other manager. */
export function listZones(database: Database, manager: Manager, { limit, cursor }: ZoneQuery): Promise<ZoneList> {
  return database.transaction(async (transaction) => {
    const authority = await holdAuthority(transaction, manager)
    const rows = await store.selectZones(transaction, {
      names: authority.isAdmin ? undefined : [...authority.zones.keys()],
      after: cursor,
      limit: limit + 1,
    })
    const page = rows.slice(0, limit)
    return {
      zones: page.map(describeZone),
      // a name is no secret to whoever was shown it
      next_cursor: rows.length > limit ? (page.at(-1)?.name ?? null) : null,
    }
  })
}

export function countZones(database: Queryable): Promise<number> {
  return store.countZones(database)
}

export function describeZone({ name, createdAt, connections, tokens }: store.StoredZone): Zone {
  return { name, created_at: createdAt.toISOString(), connections, tokens }
}
