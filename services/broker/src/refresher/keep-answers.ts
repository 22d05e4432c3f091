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

type Recording = () => Promise<AttemptResult>

/**
 * Holds on to what providers answered until the database has it (data.md, Refresh 6). Whoever waits for an outcome is
 * told `kept` after a few seconds; that it is stored does not depend on anybody waiting.
 */
export type AnswerKeeper = {
  /**
   * Stores an answer; while the database is away it is kept sealed and tried again each second.
   * @param otherwise - records the attempt whose answer cannot be stored though the database is there
   */
  readonly storeOrKeep: (facts: AttemptFacts, grant: RefreshedGrant, otherwise: Recording) => Promise<AttemptResult>
  /** Records an outcome that brought no token; it is kept in the same way, but does not outlive the process. */
  readonly recordOrKeep: (facts: AttemptFacts, record: Recording) => Promise<AttemptResult>
  /** The database is away and an answer waits for it: nothing further is to be claimed. */
  readonly isHolding: () => boolean
  /** How many outcomes wait. */
  readonly held: () => number
  /**
   * Stores what an earlier process left in the spool.
   * @throws AppError `unavailable`: the database went away meanwhile, and whoever goes on without it claims what lies there
   */
  readonly readSpool: () => Promise<void>
  /**
   * The process is about to end: what is held goes into the spool.
   * @throws Error that names the connections whose answers are lost, where they cannot be written there
   */
  readonly giveUp: () => Promise<void>
}

type Held = {
  readonly facts: AttemptFacts
  readonly sealed: SealedAnswer | undefined
  readonly record: Recording
  /** What is left where a fault of ours keeps it from being recorded. */
  readonly otherwise: Recording
  isDatabaseAway: boolean
}

const retryEveryMs = 1_000
/** As long as a lost connection takes to be replaced: whoever waits for the answer waits so much longer. */
const waitersPatienceMs = 3_000
/** For what fails though the database is there: a fault of ours, which must not hold up everything else for ever. */
const faultPatienceMs = 60_000

export function createAnswerKeeper(deps: AnswerKeeperDeps): AnswerKeeper {
  const held = new Set<Held>()
  const givingUp = new AbortController()

  /** Tries until it succeeds, the process ends, or a fault of ours has lasted too long. */
  const persist = async (item: Held, first: unknown): Promise<AttemptResult> => {
    const about = { connection_id: item.facts.connectionId }
    deps.logger.error({ ...about, err: first }, 'the outcome of a refresh waits to be stored')
    held.add(item)
    let lastAwayAt = deps.monotonicMs()
    try {
      for (let error = first; ;) {
        item.isDatabaseAway = isAway(error)
        if (item.isDatabaseAway) lastAwayAt = deps.monotonicMs()
        if (deps.monotonicMs() - lastAwayAt > faultPatienceMs) {
          deps.logger.error({ ...about, err: error }, 'the outcome of a refresh cannot be stored and is given up')
          return await item.otherwise()
        }
        const isOver = await delay(retryEveryMs, false, { signal: givingUp.signal }).catch(() => true)
        if (isOver) return { kind: 'kept' }
        try {
          return await item.record()
        } catch (failure) {
          error = failure
        }
      }
    } finally {
      if (!givingUp.signal.aborted) held.delete(item)
    }
  }
  const keep = (item: Omit<Held, 'isDatabaseAway'>, error: unknown): Promise<AttemptResult> =>
    Promise.race([
      persist({ ...item, isDatabaseAway: true }, error),
      delay(waitersPatienceMs, { kind: 'kept' } as const, { ref: false }),
    ])

  return {
    held: () => held.size,
    isHolding: () => [...held].some(({ isDatabaseAway }) => isDatabaseAway),
    async storeOrKeep(facts, grant, otherwise) {
      try {
        return await deps.recordRefreshed(facts, grant)
      } catch (error) {
        const sealed = deps.answers.seal(facts, grant)
        return keep({ facts, sealed, record: () => storeSealed(deps, sealed), otherwise }, error)
      }
    },
    async recordOrKeep(facts, record) {
      try {
        return await record()
      } catch (error) {
        return keep({ facts, sealed: undefined, record, otherwise: async () => ({ kind: 'lost' }) }, error)
      }
    },
    readSpool: () => readSpool(deps),
    async giveUp() {
      givingUp.abort()
      await saveHeld(deps, [...held])
    },
  }
}

function isAway(error: unknown): boolean {
  return isAppError(error) && error.code === 'unavailable'
}

function storeSealed(deps: AnswerKeeperDeps, sealed: SealedAnswer): Promise<AttemptResult> {
  const { facts, grant } = deps.answers.open(sealed)
  return deps.recordRefreshed(facts, grant)
}

async function saveHeld({ spool, logger }: AnswerKeeperDeps, items: readonly Held[]): Promise<void> {
  const answers = items.flatMap(({ sealed }) => (sealed === undefined ? [] : [sealed]))
  if (answers.length === 0) return
  if (spool === undefined) throw lost('SPOOL_DIR is not set', answers)
  const failed: SealedAnswer[] = []
  for (const answer of answers) {
    await spool.write(answer).catch((error: unknown) => {
      logger.error({ connection_id: answer.connectionId, err: error }, 'a refreshed token could not be written')
      failed.push(answer)
    })
  }
  if (failed.length > 0) throw lost('SPOOL_DIR could not be written to', failed)
  logger.warn(
    { connection_ids: idsOf(answers) },
    'refreshed tokens were written to SPOOL_DIR; the next start stores them',
  )
}

function lost(why: string, answers: readonly SealedAnswer[]): Error {
  const ids = idsOf(answers).join(', ')
  return new Error(`the database stayed away, and ${why}: the refreshed tokens of these connections are lost: ${ids}`)
}

function idsOf(answers: readonly SealedAnswer[]): readonly string[] {
  return answers.map(({ connectionId }) => connectionId)
}

/** What cannot be read, opened or stored stays, and is named. */
async function readSpool(deps: AnswerKeeperDeps): Promise<void> {
  const listed = await deps.spool?.list((file, error) => {
    deps.logger.error({ file, err: error }, 'a file in SPOOL_DIR cannot be read; it stays there')
  })
  for (const answer of listed ?? []) {
    const about = { connection_id: answer.connectionId, token_version: answer.version }
    try {
      const { kind } = await storeSealed(deps, answer)
      deps.logger.info({ ...about, outcome: kind }, 'a refreshed token of an earlier process was read from SPOOL_DIR')
      await deps.spool?.remove(answer)
    } catch (error) {
      if (isAway(error)) throw error
      deps.logger.error({ ...about, err: error }, 'a refreshed token in SPOOL_DIR cannot be stored now; it stays there')
    }
  }
}
