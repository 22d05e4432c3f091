import type { AgentToken, AgentTokenList, ListAgentTokens } from '@nexus/contracts'
import { AppError } from '@nexus/service'
import type { Database, Queryable } from '../db/database.ts'
import { decodeCursor, toPage } from '../http/cursor.ts'
import { type Manager, holdAuthority, managedZones } from './authority.ts'
import { describeToken } from './describe-token.ts'
import * as store from './store.ts'

const shortestStart = 4

/** One page, newest first, of the tokens that the manager manages. @throws AppError `invalid_request`, `insufficient_permission` */
export function listTokens(database: Database, manager: Manager, query: ListAgentTokens): Promise<AgentTokenList> {
  const after = decodeCursor('agent_tokens', query.cursor)
  return database.transaction(async (transaction) => {
    const rows = await store.selectTokens(transaction, {
      zones: managedZones(await holdAuthority(transaction, manager)),
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
  })
}

/** @throws AppError `token_not_found`, also for one that the manager does not manage (C4) */
export function getToken(database: Database, manager: Manager, keyId: string): Promise<AgentToken> {
  return database.transaction(async (transaction) => {
    const zones = managedZones(await holdAuthority(transaction, manager))
    const token = await store.selectToken(transaction, keyId, zones)
    if (token === undefined) throw tokenNotFound()
    return describeToken(token)
  })
}

/** @param zones - undefined: all */
export function countAgentTokens(
  database: Queryable,
  zones: readonly string[] | undefined,
): Promise<store.TokenCounts> {
  return store.countTokens(database, zones)
}

export function tokenNotFound(): AppError {
  return new AppError('token_not_found', 'There is no such token.')
}

function toMatch(text: string): store.TokenMatch {
  const isStart = text.length >= shortestStart && /^[0-9a-f-]+$/i.test(text)
  return { name: text, keyIdStart: isStart ? text.toLowerCase() : undefined }
}
