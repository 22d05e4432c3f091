import { setTimeout as delay } from 'node:timers/promises'
import type { Queryable } from '../db/database.ts'
import * as store from './store.ts'

const waitMs = 25_000
const firstPollMs = 100
const slowestPollMs = 1_000

/** Polls until the accepted attempt has an outcome; undefined when it has none within 25 seconds. */
export async function waitForOutcome(
  database: Queryable,
  handshakeId: string,
): Promise<store.RecordedOutcome | undefined> {
  const deadline = performance.now() + waitMs
  for (let pause = firstPollMs; performance.now() < deadline; pause = Math.min(pause * 2, slowestPollMs)) {
    const recorded = await store.selectOutcome(database, handshakeId)
    if (recorded === undefined || recorded.outcome !== null) return recorded
    await delay(pause)
  }
  return undefined
}
