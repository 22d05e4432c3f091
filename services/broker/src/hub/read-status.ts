import type { HubStatus } from '@nexus/contracts'
import { type AppError, type RedisHandle, isAppError } from '@nexus/service'
import { type Manager, holdAuthority, managedZones } from '../agents/authority.ts'
import { countAgentTokens } from '../agents/list-tokens.ts'
import { countRecentReads } from '../audit/list-events.ts'
import { countConnections } from '../connections/count-connections.ts'
import type { Database } from '../db/database.ts'
import { countZones } from '../zones/list-zones.ts'

export type StatusDeps = {
  readonly database: Database
  readonly redis: Pick<RedisHandle, 'ping'> | undefined
}

const minutes = 5

/**
 * What an operator asks first. A database that is away is an answer here, not a failure: but then nobody can tell whether
 * an agent may ask, so that only the operator's own key is told.
 * Who manages some zones is told of these alone.
 * @throws AppError `insufficient_permission`, `invalid_token`, `unavailable`
 */
export async function readStatus({ database, redis }: StatusDeps, manager: Manager): Promise<HubStatus> {
  const redisHealth = (await redis?.ping()) === true ? 'ok' : 'n/a'
  try {
    const mine = await database.transaction(async (transaction) =>
      managedZones(await holdAuthority(transaction, manager)),
    )
    const [tokens, connections, zones, reads] = await Promise.all([
      countAgentTokens(database, mine),
      countConnections(database, mine),
      mine?.length ?? countZones(database),
      countRecentReads(database, minutes, mine),
    ])
    const qps = Math.round((reads / (minutes * 60)) * 100) / 100
    return { postgres: 'ok', redis: redisHealth, tokens, connections: Object.fromEntries(connections), zones, qps }
  } catch (error) {
    if (!isUnavailable(error) || manager.kind !== 'operator') throw error
    return { postgres: 'err', redis: redisHealth, tokens: null, connections: null, zones: null, qps: null }
  }
}

function isUnavailable(error: unknown): error is AppError {
  return isAppError(error) && error.code === 'unavailable'
}
