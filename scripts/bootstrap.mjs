// Runs one script of this repository with the Node and the packages it needs, and fetches what is missing first.
//
//   node scripts/bootstrap.mjs scripts/quickstart.ts [arguments]
//   node scripts/bootstrap.mjs --bin oxfmt [arguments]
//
// It needs Node 18 with npm and nothing else, so this file and what it imports are plain JS without dependencies. What
// it fetches stays in .nexus/ and node_modules/. Its own words go to stderr: stdout belongs to the script.
import { delimiter, dirname, join } from 'node:path'
import { installOnce, isInstalled } from './bootstrap/install.mjs'
import { prepareCache, prepareEnv } from './bootstrap/environment.mjs'
import { root } from './bootstrap/places.mjs'
import { Problem, say } from './bootstrap/problem.mjs'
import { endWithParent, passSignalsOn, run } from './bootstrap/run-command.mjs'
import { describeToolchain } from './bootstrap/toolchain.mjs'

try {
  process.exitCode = await main(process.argv.slice(2))
} catch (error) {
  if (!(error instanceof Problem)) throw error
  say(`error: ${error.message}`)
  process.exitCode = 1
}

/**
 * @param {readonly string[]} args
 * @returns {Promise<number>} the exit code
 */
async function main([what, ...args]) {
  if (what === undefined) throw new Problem('give the script to run, or --bin and the name of a tool')
  if (process.platform === 'win32') throw new Problem('Nexus runs on Linux and macOS; on Windows use WSL')
  const toolchain = describeToolchain()
  passSignalsOn()
  endWithParent()

  prepareCache()
  const env = prepareEnv()
  const tools = join(root, 'node_modules', '.bin')
  env['PATH'] = [dirname(toolchain.node), tools, env['PATH'] ?? '/usr/bin:/bin'].join(delimiter)
  if (!isInstalled(toolchain)) await installOnce(toolchain, env)

  if (what === '--bin') {
    const [tool = '', ...rest] = args
    return finish(join(tools, tool), rest, { env, stdio: 'inherit' })
  }
  // the channel tells the script at once that we are gone, even by SIGKILL
  return finish(toolchain.node, [join(root, what), ...args], { env, stdio: ['inherit', 'inherit', 'inherit', 'ipc'] })
}

/**
 * Runs the script itself and ends as it ends.
 *
 * @param {string} command
 * @param {string[]} args
 * @param {import('node:child_process').SpawnOptions} options
 */
async function finish(command, args, options) {
  const ending = await run(command, args, { ...options, cwd: root })
  if (typeof ending === 'number') return ending
  process.removeAllListeners(ending)
  process.kill(process.pid, ending)
  return 1
}
