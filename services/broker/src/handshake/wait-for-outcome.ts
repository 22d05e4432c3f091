import { setTimeout as delay } from 'node:timers/promises'
import type { Queryable } from '../db/database.ts'
import { type RecordedOutcome, selectOutcome } from './outcome-store.ts'

const waitMs = 25_000
const firstPollMs = 100
const slowestPollMs = 1_000

/**
 * Polls while an attempt of this handshake is under way, for at most 25 seconds, and returns what stands then.
 * undefined: there is no such handshake any more.
 */
export async function waitForOutcome(database: Queryable, handshakeId: string): Promise<RecordedOutcome | undefined> {
  const deadline = performance.now() + waitMs
  for (let pause = firstPollMs; ; pause = Math.min(pause * 2, slowestPollMs)) {
    const recorded = await selectOutcome(database, handshakeId)
    const isWorthWaiting = recorded?.outcome === null && recorded.isUnderWay
    if (!isWorthWaiting || performance.now() > deadline) return recorded
    await delay(pause)
  }
}
