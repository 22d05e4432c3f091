// A Broker as its bin runs it, which dies or stands still at a named moment of some refreshes:
//   node broker-with-checkpoints.ts kill|stop POINT ID,ID…
// Each of the named connections waits at the point until all of them stand there. Only this command line can say so: no
// environment variable reaches a checkpoint.
import { runService } from '@nexus/service'
import { startBroker } from '../src/main.ts'
import type { Checkpoint } from '../src/refresher/checkpoint.ts'

const signals: Readonly<Record<string, NodeJS.Signals>> = { kill: 'SIGKILL', stop: 'SIGSTOP' }

const [deed = '', point, ids = ''] = process.argv.slice(2)
const signal = signals[deed]
if (signal === undefined) throw new Error(`kill or stop, not ${deed}`)
const awaited = new Set(ids.split(','))
const arrived = new Set<string>()
const everybody = Promise.withResolvers<void>()

const checkpoint: Checkpoint = async (name, connectionId) => {
  if (name === point && awaited.has(connectionId) && !arrived.has(connectionId)) {
    arrived.add(connectionId)
    // once: who comes by again after it went on passes
    if (arrived.size === awaited.size) {
      process.kill(process.pid, signal)
      everybody.resolve()
    }
  }
  // `sent` is told in passing and cannot be waited for: who has passed it waits at the next point
  if (arrived.has(connectionId)) await everybody.promise
}

await runService({ name: 'nexus-broker', start: () => startBroker(process.env, { checkpoint }) })
