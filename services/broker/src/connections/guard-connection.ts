import type { Permission } from '@nexus/contracts'
import { AppError } from '@nexus/service'
import { type Agent, insufficientPermission, mayIn, sees } from '../agents/agent.ts'
import type { Queryable } from '../db/database.ts'
import { selectZoneOf } from './store.ts'

/**
 * A connection outside the agent's zones answers like one that is not there, by the same look (C4). Its zone never changes,
 * so what holds here holds for the rest of the request.
 * @throws AppError `connection_not_found`; `insufficient_permission` in a zone that it sees
 */
export async function guardConnection(
  database: Queryable,
  agent: Agent,
  id: string,
  permissions: readonly Permission[],
): Promise<void> {
  const refusal = findRefusal(agent, await selectZoneOf(database, id), permissions)
  if (refusal !== undefined) throw refusal
}

/** @param zone - undefined: there is no such connection */
export function findRefusal(
  agent: Agent,
  zone: string | undefined,
  permissions: readonly Permission[],
): AppError | undefined {
  if (zone === undefined || !sees(agent, zone)) return connectionNotFound()
  return permissions.every((permission) => mayIn(agent, zone, permission))
    ? undefined
    : insufficientPermission(permissions)
}

export function connectionNotFound(): AppError {
  return new AppError('connection_not_found', 'There is no such connection.')
}
