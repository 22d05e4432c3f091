import { systemOrigin } from '../audit/audit-event.ts'
import { type DisconnectDeps, takeOutOfUse } from './disconnect-connection.ts'
import * as store from './disconnect-store.ts'

const batchSize = 100
const concurrency = 4

/**
 * One round of the background work behind `DELETE /providers/:id?disconnect=true` and `DELETE /zones/:zone?force=true`:
 * disconnects what is left of removed profiles and zones, and leaves the revocations to the queue. Each connection is a
 * transaction of its own that does nothing where another Broker was first, so any number of Brokers may work on one, and
 * any of them may die.
 */
export async function disconnectRemoved(deps: DisconnectDeps, signal: AbortSignal): Promise<boolean> {
  for (const removed of await store.selectRemoved(deps.database)) {
    await disconnectAll(deps, removed, signal)
    if (!signal.aborted) await store.clearDisconnectRequest(deps.database, removed)
  }
  return false
}

async function disconnectAll(deps: DisconnectDeps, removed: store.Removed, signal: AbortSignal): Promise<void> {
  const cause = removed.kind === 'provider' ? 'provider_deleted' : 'zone_removed'
  let last: store.ConnectionLeft | undefined
  do {
    const batch = await store.selectConnectionsLeft(deps.database, removed, last, batchSize)
    last = batch.at(-1)
    // in an order of our own, so that two Brokers on one batch meet at few of its rows
    const waiting = shuffle(batch, deps.random)
    const workers = Array.from({ length: concurrency }, () => workOff(deps, waiting, cause, signal))
    await Promise.all(workers)
  } while (last !== undefined && !signal.aborted)
}

async function workOff(
  deps: DisconnectDeps,
  waiting: store.ConnectionLeft[],
  cause: string,
  signal: AbortSignal,
): Promise<void> {
  for (let next = waiting.pop(); next !== undefined && !signal.aborted; next = waiting.pop()) {
    const { id } = next
    const options = { origin: systemOrigin, cause, firstAttemptInSeconds: 0 }
    await takeOutOfUse(deps, id, options).catch((error: unknown) => {
      // the others are not to wait for this one, which the next round finds again
      deps.logger.warn(
        { err: error, connection_id: id },
        'a connection could not be disconnected; it will be tried again',
      )
    })
  }
}

function shuffle<Item>(items: readonly Item[], random: () => number): Item[] {
  return items
    .map((item) => ({ item, at: random() }))
    .toSorted((a, b) => a.at - b.at)
    .map(({ item }) => item)
}
