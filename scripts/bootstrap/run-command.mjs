import { spawn } from 'node:child_process'
import * as fs from 'node:fs'
import { constants } from 'node:os'
import { join } from 'node:path'
import { shareClaim } from './only-one.mjs'
import { cache, root } from './places.mjs'
import { Problem, codeOf, say } from './problem.mjs'

/** Claimed by the process that installs. */
export const installing = join(cache, 'installing')

// the defaults of npm and pnpm are made for people who wait: minutes of silence where there is no network
const patience = ['--fetch-retries=2', '--fetch-retry-factor=2', '--fetch-retry-mintimeout=1000']

const roomNeededMb = 1000

/** The command that is running now. @type {import('node:child_process').ChildProcess | undefined} */
let running

let isInterrupted = false

/**
 * @param {string} command
 * @param {string[]} args
 * @param {import('node:child_process').SpawnOptions} options
 * @returns {Promise<number | NodeJS.Signals>} the exit code, or the signal it died of
 * @throws Problem if it cannot be started
 */
export function run(command, args, options) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, options)
    running = child
    child.once('error', (error) => {
      const reason = codeOf(error) === 'ENOENT' ? 'is not installed' : `cannot be run (${codeOf(error)})`
      reject(new Problem(`${command} ${reason}`))
    })
    child.once('exit', (code, signal) => {
      running = undefined
      resolve(signal ?? code ?? 1)
    })
  })
}

/**
 * Runs an installer, with a line now and then so that nobody thinks it hangs.
 *
 * @param {string} what
 * @param {string} command
 * @param {{ args: string[], cwd: string, env: NodeJS.ProcessEnv }} options
 * @throws Problem
 */
export async function runInstaller(what, command, { args, cwd, env }) {
  const began = Date.now()
  const seconds = () => Math.round((Date.now() - began) / 1000)
  say(`installing ${what} …`)
  const ticks = setInterval(() => say(`  still installing ${what} (${seconds()} s)`), 15_000)
  const ended = run(command, [...args, ...patience], { cwd, env, stdio: ['ignore', 2, 2] })
  // should we be killed, it works on: nobody else may begin until it has ended
  shareClaim(installing, running?.pid)
  const ending = await ended.finally(() => clearInterval(ticks))
  if (isInterrupted) throw new Problem(`interrupted while installing ${what}; running again continues`)
  if (ending !== 0) throw new Problem(`could not install ${what}: ${explainFailure(env)}`)
  say(`installed ${what} (${seconds()} s)`)
}

/** @param {NodeJS.ProcessEnv} env */
function explainFailure(env) {
  const full = [root, env['HOME'] ?? root].find((path) => fs.existsSync(path) && freeMb(path) < roomNeededMb)
  if (full !== undefined) return `${freeMb(full)} MB are free at ${full}, and it needs about ${roomNeededMb} MB`
  const registry = process.env['npm_config_registry'] ?? 'the npm registry'
  return `the lines above say why. It comes from ${registry}: can this machine reach it? Running again continues`
}

/** @param {string} path */
function freeMb(path) {
  const { bavail, bsize } = fs.statfsSync(path)
  return Math.floor((bavail * bsize) / 1_000_000)
}

/** From now on a signal to us is one to the command that is running. */
export function passSignalsOn() {
  for (const signal of /** @type {const} */ (['SIGINT', 'SIGTERM', 'SIGHUP'])) {
    process.on(signal, () => {
      isInterrupted = true
      if (running === undefined) process.exit(128 + constants.signals[signal])
      running.kill(signal)
    })
  }
}

/** npm ends by SIGKILL, and its shell by SIGTERM, without telling us: when our parent changes, end what we started. */
export function endWithParent() {
  const parent = process.ppid
  const watch = setInterval(() => {
    if (process.ppid !== parent) running?.kill('SIGTERM')
  }, 500)
  watch.unref()
}
