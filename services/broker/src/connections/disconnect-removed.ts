import { systemOrigin } from '../audit/audit-event.ts'
import { type DisconnectDeps, takeOutOfUse } from './disconnect-connection.ts'
import * as store from './disconnect-store.ts'

const batchSize = 100
const concurrency = 4

/**
 * One round of the background work behind `DELETE /providers/:id?disconnect=true`: disconnects what is left of the
 * removed profiles, and leaves their revocations to the queue. Each connection is a transaction of its own that does
 * nothing where another Broker was first, so any number of Brokers may work on one profile, and any of them may die.
 */
export async function disconnectProviders(deps: DisconnectDeps, signal: AbortSignal): Promise<boolean> {
  for (const providerId of await store.selectProvidersToDisconnect(deps.database)) {
    await disconnectAll(deps, providerId, signal)
    if (!signal.aborted) await store.clearDisconnectRequest(deps.database, providerId)
  }
  return false
}

async function disconnectAll(deps: DisconnectDeps, providerId: string, signal: AbortSignal): Promise<void> {
  let last: store.LivingConnection | undefined
  do {
    const batch = await store.selectLivingConnections(deps.database, providerId, last, batchSize)
    last = batch.at(-1)
    // in an order of our own, so that two Brokers on one batch meet at few of its rows
    const waiting = shuffle(batch, deps.random)
    const workers = Array.from({ length: concurrency }, () => workOff(deps, waiting, signal))
    await Promise.all(workers)
  } while (last !== undefined && !signal.aborted)
}

async function workOff(deps: DisconnectDeps, waiting: store.LivingConnection[], signal: AbortSignal): Promise<void> {
  for (let next = waiting.pop(); next !== undefined && !signal.aborted; next = waiting.pop()) {
    const { id } = next
    const options = { origin: systemOrigin, cause: 'provider_deleted', firstAttemptInSeconds: 0 }
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
