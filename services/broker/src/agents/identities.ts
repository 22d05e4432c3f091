import { timingSafeEqual } from 'node:crypto'
import { AppError } from '@nexus/service'
import { createBatcher } from '../db/batcher.ts'
import type { Queryable } from '../db/database.ts'
import { type Agent, invalidToken } from './agent.ts'
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
  /** Looks for changes once: every Broker does each second, and sooner where Redis says so. Renews what is remembered too. */
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
  /** Since it was asked: who comes once is not asked for again. */
  isUsed: boolean
}

const keptForMs = 60_000
/** Agents that are at work are asked for again before that, many in one statement. */
const renewedAfterMs = 45_000
const mostRenewed = 512
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

  const look = createLook(database)

  const recall = ({ lookup, hash }: PresentedToken): Agent | undefined => {
    const entry = known.get(lookup)
    const now = monotonicMs()
    if (entry === undefined || now - polled.at > trustedForMs) return undefined
    if (now - entry.askedAt > keptForMs || now >= entry.endsAt) return undefined
    // a lookup has one token: another one that claims it is none
    if (!timingSafeEqual(entry.hash, hash)) throw invalidToken()
    entry.isUsed = true
    return entry.agent
  }

  /** In the order in which they were asked for. */
  const keep = (row: IdentityRow, agent: Agent, askedAt: number): void => {
    const endsAt = row.secondsLeft === null ? Number.POSITIVE_INFINITY : askedAt + row.secondsLeft * 1000
    known.delete(row.lookup)
    known.set(row.lookup, { agent, hash: row.hash, askedAt, endsAt, isUsed: false })
    if (known.size > mostKept) known.delete(known.keys().next().value ?? '')
  }

  const renew = async (): Promise<void> => {
    const askedAt = monotonicMs()
    const due = listDue(known, askedAt)
    if (due.length === 0) return
    const rows = await selectIdentities(
      database,
      due.map(([lookup]) => lookup),
    )
    const byLookup = new Map(rows.map((row) => [row.lookup, row]))
    for (const [lookup, entry] of due) {
      const row = byLookup.get(lookup)
      // as in every look: what began before a change that is known by now is not believed, nor what was forgotten meanwhile
      if (row === undefined || row.seq < polled.seq || known.get(lookup) !== entry) continue
      const agent = toAgent(row, entry.hash)
      if (agent === undefined) known.delete(lookup)
      else keep(row, agent, askedAt)
    }
  }

  const ask = async (presented: PresentedToken, address: string | undefined): Promise<Agent> => {
    for (let round = 0; round < mostLooks; round++) {
      const askedAt = monotonicMs()
      const row = await look({ ...presented, address })
      // begun before a change that is known by now: what it saw may be over
      if (row.seq < polled.seq) continue
      const agent = toAgent(row, presented.hash)
      if (agent === undefined) throw invalidToken()
      keep(row, agent, askedAt)
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
      await renew()
    },
    forgetAll: () => known.clear(),
  }
}

/** Callers that come together share one look into the database. */
function createLook(database: Queryable) {
  return createBatcher<PresentedToken & { readonly address: string | undefined }, IdentityRow>(
    { ...batching, chargeTo: ({ address = '' }) => address },
    async (asked) => {
      const rows = await selectIdentities(database, [...new Set(asked.map(({ lookup }) => lookup))])
      const byLookup = new Map(rows.map((row) => [row.lookup, row]))
      return asked.map(({ lookup }) => byLookup.get(lookup) ?? new Error('a lookup came back without an answer'))
    },
  )
}

/** Of the agents at work those that are to be asked for again, the longest remembered first. */
function listDue(known: ReadonlyMap<string, Known>, now: number): readonly (readonly [string, Known])[] {
  return known
    .entries()
    .filter(([, { isUsed }]) => isUsed)
    .take(mostRenewed)
    .filter(([, { askedAt }]) => now - askedAt > renewedAfterMs)
    .toArray()
}

/** undefined for a token that is unknown, another's, revoked or expired. */
function toAgent(row: IdentityRow, hash: Buffer): Agent | undefined {
  if (row.keyId === null || row.isRevoked || !timingSafeEqual(row.hash, hash)) return undefined
  if (row.secondsLeft !== null && row.secondsLeft <= 0) return undefined
  const zones = new Map(row.zones.map((zone, index) => [zone, row.permissions[index] ?? '']))
  return { keyId: row.keyId, owner: row.owner, isAdmin: row.isAdmin, zones }
}
