import { timingSafeEqual } from 'node:crypto'
import { AppError } from '@nexus/service'
import { createBatcher } from '../db/batcher.ts'
import type { Queryable } from '../db/database.ts'
import type { Agent } from './agent.ts'
import { type PresentedToken, readAgentToken } from './agent-token.ts'
import { type Changes, type IdentityRow, selectChanges, selectIdentities } from './identity-store.ts'

export type IdentityDeps = {
  readonly database: Queryable
  /** Milliseconds that never go back. */
  readonly monotonicMs: () => number
  readonly noteUse: (keyId: string) => void
  /** `known`: from memory. */
  readonly countCheck: (how: 'known' | 'looked_up') => void
}

export type Identities = {
  /**
   * Whose token it is.
   * @param address - charged with the look into the database, where one is needed
   * @throws AppError `invalid_token`, the same for every reason; `unavailable`
   */
  readonly identify: (token: string, address: string | undefined) => Promise<Agent>
  /** Looks for changes once: every Broker does each second, and sooner where Redis says so. */
  readonly poll: () => Promise<void>
  /** Nothing known counts any more: somebody who would have told of a change may not have been heard. */
  readonly forgetAll: () => void
}

/** What the database said of a lookup, and when it was asked. */
type Known = {
  readonly agent: Agent
  readonly hash: Buffer
  readonly askedAt: number
  /** Infinity: it does not expire. */
  readonly endsAt: number
}

const keptForMs = 60_000
/** Without an answer to the poll for this long, what is known may be revoked, and does not count. */
const trustedForMs = 5_000
const mostKept = 50_000
const mostChanges = 10_000
const batching = { maxBatch: 256, maxConcurrent: 2, maxQueued: 4096 }
const mostLooks = 3

/**
 * Tells agents by their tokens, from memory for at most a minute. A revocation is felt within about a second: each change
 * has a number, the poll reads the latest one and whose tokens changed, and a look into the database that began before that
 * is not believed but repeated. So nothing that was read before a change outlives it, whatever order the answers come in.
 */
export function createIdentities(deps: IdentityDeps): Identities {
  const { database, monotonicMs } = deps
  const known = new Map<string, Known>()
  let polled = { seq: 0, at: Number.NEGATIVE_INFINITY }

  const look = createBatcher<PresentedToken & { readonly address: string | undefined }, IdentityRow>(
    { ...batching, chargeTo: ({ address = '' }) => address },
    async (asked) => {
      const rows = await selectIdentities(database, [...new Set(asked.map(({ lookup }) => lookup))])
      const byLookup = new Map(rows.map((row) => [row.lookup, row]))
      return asked.map(({ lookup }) => byLookup.get(lookup) ?? new Error('a lookup came back without an answer'))
    },
  )

  const recall = ({ lookup, hash }: PresentedToken): Agent | undefined => {
    const entry = known.get(lookup)
    const now = monotonicMs()
    if (entry === undefined || now - polled.at > trustedForMs) return undefined
    if (now - entry.askedAt > keptForMs || now >= entry.endsAt) return undefined
    // a lookup has one token: another one that claims it is none
    if (!timingSafeEqual(entry.hash, hash)) throw invalidToken()
    return entry.agent
  }

  const ask = async (presented: PresentedToken, address: string | undefined): Promise<Agent> => {
    for (let round = 0; round < mostLooks; round++) {
      const askedAt = monotonicMs()
      const row = await look({ ...presented, address })
      // begun before a change that is known by now: what it saw may be over
      if (row.seq < polled.seq) continue
      const agent = toAgent(row, presented.hash)
      if (agent === undefined) throw invalidToken()
      const endsAt = row.secondsLeft === null ? Number.POSITIVE_INFINITY : askedAt + row.secondsLeft * 1000
      known.delete(presented.lookup)
      known.set(presented.lookup, { agent, hash: row.hash, askedAt, endsAt })
      if (known.size > mostKept) known.delete(known.keys().next().value ?? '')
      return agent
    }
    throw new AppError('unavailable', 'Agents are changing faster than they can be told apart; try again.', {
      retryAfterSeconds: 1,
    })
  }

  const take = ({ seq, changed }: Changes, askedAt: number): void => {
    // a number that went back is another database: one that was restored
    if (seq < polled.seq || changed.length > mostChanges) known.clear()
    for (const lookup of changed) known.delete(lookup)
    polled = { seq, at: askedAt }
  }

  return {
    async identify(token, address) {
      const presented = readAgentToken(token)
      if (presented === undefined) throw invalidToken()
      const recalled = recall(presented)
      deps.countCheck(recalled === undefined ? 'looked_up' : 'known')
      const agent = recalled ?? (await ask(presented, address))
      if (agent.keyId !== undefined) deps.noteUse(agent.keyId)
      return agent
    },
    async poll() {
      const askedAt = monotonicMs()
      const changes = await selectChanges(database, polled.seq, mostChanges)
      // polls may overtake each other: the older one has nothing to say
      if (askedAt >= polled.at) take(changes, askedAt)
    },
    forgetAll: () => known.clear(),
  }
}

/** undefined for a token that is unknown, another's, revoked or expired. */
function toAgent(row: IdentityRow, hash: Buffer): Agent | undefined {
  if (row.keyId === null || row.isRevoked || !timingSafeEqual(row.hash, hash)) return undefined
  if (row.secondsLeft !== null && row.secondsLeft <= 0) return undefined
  const zones = new Map(row.zones.map((zone, index) => [zone, row.permissions[index] ?? '']))
  return { keyId: row.keyId, owner: row.owner, isAdmin: row.isAdmin, zones }
}

function invalidToken(): AppError {
  return new AppError('invalid_token', 'The agent token is not valid.')
}
