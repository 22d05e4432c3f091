// npm start: the whole of Nexus on this machine, with a demo identity provider to try it on.
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { claim } from './bootstrap/only-one.mjs'
import { root } from './bootstrap/places.mjs'
import { help, readOptions, UsageError, type Options } from './quickstart/options.ts'
import { createProgress, type Progress } from './quickstart/progress.ts'
import { startNexus } from './quickstart/start-nexus.ts'
import { listenForStop, StopRequested } from './quickstart/stop-request.ts'
import { describeNexus } from './quickstart/summary.ts'

/** @returns the exit code: 0 after a stop that was asked for, 1 after a failure, 2 after a mistaken call */
const main = async (): Promise<number> => {
  try {
    const options = readOptions(process.argv.slice(2), process.env, root)
    if (options === undefined) process.stdout.write(help)
    else await runUntilStopped(options)
    return 0
  } catch (error) {
    process.stderr.write(`\nerror: ${error instanceof Error ? error.message : String(error)}\n`)
    if (!(error instanceof UsageError)) return 1
    process.stderr.write('Try: npm start -- --help\n')
    return 2
  }
}

const runUntilStopped = async (options: Options): Promise<void> => {
  const progress = createProgress()
  const { dataDir } = options
  mkdirSync(dataDir, { recursive: true })
  const claimed = claim(join(dataDir, 'running'))
  if (claimed.holder !== undefined) {
    throw new Error(
      `Nexus runs on ${dataDir} already (process ${claimed.holder}): stop it first, or choose a --data-dir`,
    )
  }
  try {
    await runNexus(options, progress)
  } catch (error) {
    if (!(error instanceof StopRequested)) throw error
  } finally {
    claimed.release()
  }
  progress.say(`stopped; the data stays in ${dataDir}`)
}

const runNexus = async (options: Options, progress: Progress): Promise<void> => {
  const { dataDir, json } = options
  const { asked, stopping } = listenForStop()
  await using parts = new AsyncDisposableStack()
  progress.say('starting Nexus …')
  const nexus = await startNexus({ root, options, progress, parts, stopping })
  const took = progress.elapsed()
  process.stdout.write(json ? `${JSON.stringify(nexus.facts)}\n` : describeNexus({ ...nexus, dataDir, took }))
  if (json) progress.say(`ready in ${took}`)
  await Promise.race([asked, nexus.failed])
  progress.say('stopping …')
}

// a reader that goes away (`npm start | head -1`) is no reason to fall over
for (const stream of [process.stdout, process.stderr]) stream.on('error', () => undefined)
process.exitCode = await main()
