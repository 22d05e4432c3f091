import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { claim } from './only-one.mjs'
import { digest, root } from './places.mjs'
import { say } from './problem.mjs'
import { installing, runInstaller } from './run-command.mjs'
import { fetchToolchain } from './toolchain.mjs'

/** @typedef {import('./toolchain.mjs').Toolchain} Toolchain */

const stamp = join(root, 'node_modules', '.nexus-installed')

/** @param {Toolchain} toolchain */
export function isInstalled({ folder }) {
  return existsSync(folder) && existsSync(stamp) && readFileSync(stamp, 'utf8') === describeInstall()
}

/**
 * Brings the toolchain and the packages. One process does it, the others wait; one that was interrupted has left no
 * stamp, and the next one goes on from there.
 *
 * @param {Toolchain} toolchain
 * @param {NodeJS.ProcessEnv} env
 * @throws Problem
 */
export async function installOnce(toolchain, env) {
  const release = await waitForTurn()
  try {
    if (!existsSync(toolchain.folder)) await fetchToolchain(toolchain, env)
    if (isInstalled(toolchain)) return
    rmSync(stamp, { force: true })
    // --prod=false: with NODE_ENV=production pnpm would leave the tools out; CI: it asks no questions
    const flags = ['--frozen-lockfile', '--prod=false', '--reporter=append-only', '--loglevel=warn']
    await runInstaller('dependencies', toolchain.node, {
      args: [toolchain.pnpm, 'install', ...flags],
      cwd: root,
      env: { ...env, CI: env['CI'] ?? '1' },
    })
    writeFileSync(stamp, describeInstall())
  } finally {
    release()
  }
}

/** What is installed, and for which system: a checkout may be shared with a container. */
function describeInstall() {
  const files = ['pnpm-lock.yaml', 'pnpm-workspace.yaml', 'package.json']
  return `${digest(...files)} ${process.platform} ${process.arch}`
}

/** @returns {Promise<() => void>} */
async function waitForTurn() {
  for (let attempt = 0; ; attempt++) {
    const claimed = claim(installing)
    if (claimed.holder === undefined) return claimed.release
    if (attempt === 0) say(`waiting for process ${claimed.holder}, which is installing here …`)
    // each waits differently long: two that came at the same moment would meet for ever
    await sleep(200 + Math.random() * 300)
  }
}
