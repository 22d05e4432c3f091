import type { AgentToken, AgentTokenList, ListAgentTokens } from '@nexus/contracts'
import { AppError } from '@nexus/service'
import type { Queryable } from '../db/database.ts'
import { decodeCursor, toPage } from '../http/cursor.ts'
import { type Manager, managedZones, readAuthority } from './authority.ts'
import { describeToken } from './describe-token.ts'
import * as store from './store.ts'

const shortestStart = 4

/** One page, newest first, of the tokens that the manager manages. @throws AppError `invalid_request`, `insufficient_permission` */
export async function listTokens(
  database: Queryable,
  manager: Manager,
  query: ListAgentTokens,
): Promise<AgentTokenList> {
  const after = decodeCursor('agent_tokens', query.cursor)
  const rows = await store.selectTokens(database, {
    zones: managedZones(await readAuthority(database, manager)),
    showsRevoked: query.show_revoked === 'true',
    match: query.match === undefined ? undefined : toMatch(query.match),
    after,
    limit: query.limit + 1,
  })
  const { page, nextCursor } = toPage('agent_tokens', rows, query.limit, ({ keyId, position }) => ({
    id: keyId,
    position,
  }))
  return { tokens: page.map(describeToken), next_cursor: nextCursor }
}

/** @throws AppError `token_not_found`, also for one that the manager does not manage (C4) */
export async function getToken(database: Queryable, manager: Manager, keyId: string): Promise<AgentToken> {
  const zones = managedZones(await readAuthority(database, manager))
  const token = await store.selectToken(database, keyId, zones)
  if (token === undefined) throw tokenNotFound()
  return describeToken(token)
}

/** @param zones - undefined: all */
export function countAgentTokens(
  database: Queryable,
  zones: readonly string[] | undefined,
): Promise<store.TokenCounts> {
  return store.countTokens(database, zones)
}

/**
 * Living tokens by the zone they are for; none: it is absent.
 * @param zones - those that are managed: only tokens of these alone are counted; undefined: all
 */
export function countTokensByZone(
  database: Queryable,
  names: readonly string[],
  zones: readonly string[] | undefined,
): Promise<ReadonlyMap<string, number>> {
  return store.countTokensByZone(database, names, zones)
}

export function tokenNotFound(): AppError {
  return new AppError('token_not_found', 'There is no such token.')
}

function toMatch(text: string): store.TokenMatch {
  const isStart = text.length >= shortestStart && /^[0-9a-f-]+$/i.test(text)
  return { name: text, keyIdStart: isStart ? text.toLowerCase() : undefined }
}
