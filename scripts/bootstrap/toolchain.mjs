import { cpSync, existsSync, readdirSync, renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { cache, digest, root } from './places.mjs'
import { Problem } from './problem.mjs'
import { run, runInstaller } from './run-command.mjs'

/** The first Node 24 that runs TypeScript without a warning. */
const oldestMinor = 12

/**
 * @typedef {object} Toolchain
 * @property {string} folder Where npm puts what is fetched; its name says what is in it
 * @property {boolean} fetchesNode False where the Node that runs this is good enough
 * @property {string} node
 * @property {string} pnpm
 */

/**
 * The Node and the pnpm to use; they need not be there yet.
 *
 * @returns {Toolchain}
 * @throws Problem if this Node is too old and none can be fetched
 */
export function describeToolchain() {
  const { node: version } = process.versions
  const [major = 0, minor = 0] = version.split('.').map(Number)
  if (major < 18) throw new Problem(`Node ${version} is too old even to fetch a newer one: install Node 20 or later`)
  const fetchesNode = major < 24 || (major === 24 && minor < oldestMinor)
  const system = `${process.platform} ${process.arch}`
  if (fetchesNode && !isNodeInRegistry()) {
    throw new Problem(
      `this is Node ${version}, and the registry has no newer one for ${system}${isMusl() ? ' with musl' : ''}: ` +
        `install Node 24.${oldestMinor} or later (https://nodejs.org) and try again`,
    )
  }
  const kind = fetchesNode ? `node-${process.platform}-${process.arch}` : 'pnpm-only'
  const folder = join(cache, `toolchain-${digest('scripts/toolchain/package-lock.json')}-${kind}`)
  const modules = join(folder, 'node_modules')
  return {
    folder,
    fetchesNode,
    node: fetchesNode ? join(modules, kind, 'bin', 'node') : process.execPath,
    pnpm: join(modules, 'pnpm', 'bin', 'pnpm.mjs'),
  }
}

/**
 * Fetched by npm from a pinned lockfile, into a folder that gets its name only when it is complete.
 *
 * @param {Toolchain} toolchain
 * @param {NodeJS.ProcessEnv} env
 * @throws Problem
 */
export async function fetchToolchain({ folder, fetchesNode, node }, env) {
  for (const name of readdirSync(cache)) {
    if (name.endsWith('.partial')) rmSync(join(cache, name), { recursive: true, force: true })
  }
  const partial = `${folder}.partial`
  cpSync(join(root, 'scripts', 'toolchain'), partial, { recursive: true })
  const [npm, ...npmArgs] = findNpm()
  const flags = ['--ignore-scripts', '--no-audit', '--no-fund', '--no-update-notifier', '--loglevel=error']
  await runInstaller(fetchesNode ? 'Node 24 and pnpm' : 'pnpm', npm, {
    args: [...npmArgs, 'ci', `--${fetchesNode ? 'include' : 'omit'}=optional`, ...flags, '--prefix', partial],
    cwd: partial,
    env,
  })
  renameSync(partial, folder)
  if (fetchesNode && (await run(node, ['--version'], { stdio: 'ignore', env })) !== 0) {
    rmSync(folder, { recursive: true, force: true })
    throw new Problem(`the fetched Node does not run here: install Node 24.${oldestMinor} or later and try again`)
  }
}

/** The npm that runs us, else the one on the PATH. @returns {[string, ...string[]]} */
function findNpm() {
  const path = process.env['npm_execpath']
  return path?.endsWith('npm-cli.js') && existsSync(path) ? [process.execPath, path] : ['npm']
}

function isNodeInRegistry() {
  return process.platform === 'linux' && ['x64', 'arm64'].includes(process.arch) && !isMusl()
}

function isMusl() {
  if (process.platform !== 'linux') return false
  const report = process.report.getReport()
  return !('header' in report && Object.keys(Object(report.header)).includes('glibcVersionRuntime'))
}
