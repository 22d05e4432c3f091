import { startBackgroundLoop } from '../maintenance/background-loop.ts'
import {
  type RevocationWorker,
  type RevocationWorkerDeps,
  startRevocationWorker,
} from '../revocations/revocation-worker.ts'
import type { DisconnectDeps } from './disconnect-connection.ts'
import { disconnectProviders } from './disconnect-providers.ts'

const everyMs = 5_000

/** Starts what goes on behind a disconnection: the revocations owed, and the connections of removed providers. */
export function startDisconnecting(deps: DisconnectDeps & RevocationWorkerDeps): RevocationWorker {
  const worker = startRevocationWorker(deps)
  const loop = startBackgroundLoop({
    name: 'disconnect removed providers',
    everyMs,
    work: (signal) => disconnectProviders(deps, signal),
    logger: deps.logger,
    random: deps.random,
  })
  return {
    owed: worker.owed,
    async [Symbol.asyncDispose]() {
      await Promise.all([loop[Symbol.asyncDispose](), worker[Symbol.asyncDispose]()])
    },
  }
}
