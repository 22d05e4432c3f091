import { startBackgroundLoop } from '../maintenance/background-loop.ts'
import {
  type RevocationWorker,
  type RevocationWorkerDeps,
  startRevocationWorker,
} from '../revocations/revocation-worker.ts'
import type { DisconnectDeps } from './disconnect-connection.ts'
import { disconnectRemoved } from './disconnect-removed.ts'

const everyMs = 5_000

/** Starts what goes on behind a disconnection: the revocations owed, and the connections of removed profiles and zones. */
export function startDisconnecting(deps: DisconnectDeps & RevocationWorkerDeps): RevocationWorker {
  const worker = startRevocationWorker(deps)
  const loop = startBackgroundLoop({
    name: 'disconnect what was removed',
    everyMs,
    work: (signal) => disconnectRemoved(deps, signal),
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
