import { setTimeout as delay } from 'node:timers/promises'
import { type Logger, isAppError } from '@nexus/service'
import type { AttemptResult } from './attempt-result.ts'
import type { AttemptFacts, RefreshedGrant } from './record-outcome.ts'
import type { SealedAnswer, SealedAnswers } from './sealed-answers.ts'
import type { Spool } from './spool.ts'

export type AnswerKeeperDeps = {
  readonly answers: SealedAnswers
  readonly recordRefreshed: (facts: AttemptFacts, grant: RefreshedGrant) => Promise<AttemptResult>
  /** undefined: there is no folder in which an answer could outlive this process. */
  readonly spool: Spool | undefined
  readonly logger: Logger
  readonly monotonicMs: () => number
}

/** Holds on to what providers answered until the database has it (data.md, Refresh 6). */
export type AnswerKeeper = {
  /** Stores an answer; while the database is away it is kept sealed and tried again each second. */
  readonly storeOrKeep: (facts: AttemptFacts, grant: RefreshedGrant) => Promise<AttemptResult>
  /** Records an outcome that brought no token; it is kept in the same way, but does not outlive the process. */
  readonly recordOrKeep: (facts: AttemptFacts, record: () => Promise<AttemptResult>) => Promise<AttemptResult>
  /** The database is away and an answer waits for it: nothing further is to be claimed. */
  readonly isHolding: () => boolean
  /** How many outcomes wait. */
  readonly held: () => number
  /** Stores what an earlier process left in the spool. */
  readonly readSpool: () => Promise<void>
  /**
   * The process is about to end: what is held goes into the spool.
   * @throws Error that names the connections whose answers are lost, where there is no spool
   */
  readonly giveUp: () => Promise<void>
}

type Held = { readonly facts: AttemptFacts; readonly sealed: SealedAnswer | undefined; isDatabaseAway: boolean }

const retryEveryMs = 1_000
/** For what fails though the database is there: a fault of ours, which must not hold up everything else for ever. */
const faultPatienceMs = 60_000

export function createAnswerKeeper(deps: AnswerKeeperDeps): AnswerKeeper {
  const held = new Set<Held>()
  const givingUp = new AbortController()

  /** Tries until it succeeds, the process ends, or a fault of ours has lasted too long. */
  const persist = async (item: Held, record: () => Promise<AttemptResult>, first: unknown): Promise<AttemptResult> => {
    const since = deps.monotonicMs()
    held.add(item)
    try {
      for (let error = first; ;) {
        item.isDatabaseAway = isAppError(error) && error.code === 'unavailable'
        if (!item.isDatabaseAway && deps.monotonicMs() - since > faultPatienceMs) throw error
        const { connectionId } = item.facts
        deps.logger.error({ err: error, connection_id: connectionId }, 'the outcome of a refresh waits to be stored')
        const isOver = await delay(retryEveryMs, false, { signal: givingUp.signal }).catch(() => true)
        if (isOver) return { kind: 'kept' }
        try {
          return await record()
        } catch (failure) {
          error = failure
        }
      }
    } finally {
      if (!givingUp.signal.aborted) held.delete(item)
    }
  }

  return {
    held: () => held.size,
    isHolding: () => [...held].some(({ isDatabaseAway }) => isDatabaseAway),
    async storeOrKeep(facts, grant) {
      try {
        return await deps.recordRefreshed(facts, grant)
      } catch (error) {
        const sealed = deps.answers.seal(facts, grant)
        return persist({ facts, sealed, isDatabaseAway: true }, () => storeSealed(deps, sealed), error)
      }
    },
    async recordOrKeep(facts, record) {
      try {
        return await record()
      } catch (error) {
        return persist({ facts, sealed: undefined, isDatabaseAway: true }, record, error)
      }
    },
    readSpool: () => readSpool(deps),
    async giveUp() {
      givingUp.abort()
      await saveHeld(deps, [...held])
    },
  }
}

function storeSealed(deps: AnswerKeeperDeps, sealed: SealedAnswer): Promise<AttemptResult> {
  const { facts, grant } = deps.answers.open(sealed)
  return deps.recordRefreshed(facts, grant)
}

async function saveHeld({ spool, logger }: AnswerKeeperDeps, items: readonly Held[]): Promise<void> {
  const answers = items.flatMap(({ sealed }) => (sealed === undefined ? [] : [sealed]))
  if (answers.length === 0) return
  const ids = answers.map(({ connectionId }) => connectionId)
  if (spool === undefined) {
    throw new Error(
      `the database stayed away, and SPOOL_DIR is not set: the refreshed tokens of these connections are lost: ${ids.join(', ')}`,
    )
  }
  for (const answer of answers) await spool.write(answer)
  logger.warn({ connection_ids: ids }, 'refreshed tokens were written to SPOOL_DIR; the next start stores them')
}

/** A file that cannot be stored now stays, and one that nobody can use any more is named before it goes. */
async function readSpool(deps: AnswerKeeperDeps): Promise<void> {
  for (const answer of (await deps.spool?.list()) ?? []) {
    const about = { connection_id: answer.connectionId }
    try {
      const { kind } = await storeSealed(deps, answer)
      deps.logger.info({ ...about, outcome: kind }, 'a refreshed token of an earlier process was read from SPOOL_DIR')
      await deps.spool?.remove(answer)
    } catch (error) {
      deps.logger.error({ ...about, err: error }, 'a refreshed token in SPOOL_DIR cannot be stored now; it stays there')
    }
  }
}
