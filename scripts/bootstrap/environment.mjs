import { accessSync, constants, mkdirSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { cache, root } from './places.mjs'
import { Problem, codeOf } from './problem.mjs'

// npm sets these for its own command line; the inner npm would install something else with them, or elsewhere
const outerNpm =
  /^npm_config_(workspaces?|include_workspace_root|global|location|(local_|global_)?prefix|omit|include|production|only|optional|dry_run|package_lock|package_lock_only|json)$/i

// how npm was told to reach its registry; pnpm does not look at npm's variables
const networkSettings = ['registry', 'cafile', 'proxy', 'https_proxy', 'noproxy', 'strict_ssl']

const homeVariables = /^(XDG_.*_HOME|npm_config_(cache|userconfig))$/i

/** @returns {NodeJS.ProcessEnv} what the commands we start see */
export function prepareEnv() {
  /** @type {NodeJS.ProcessEnv} */
  const env = {
    // the fetched Node carries a list of authorities of its own; machines with their own authority expect the system's
    NODE_USE_SYSTEM_CA: '1',
    // halves the start of every later process
    NODE_COMPILE_CACHE: join(cache, 'compile-cache'),
    ...process.env,
  }
  for (const name of Object.keys(env)) if (outerNpm.test(name)) delete env[name]
  for (const name of networkSettings) {
    const value = env[`npm_config_${name}`]
    if (value) env[`pnpm_config_${name}`] ??= value
  }
  if (isWritable(findHome())) return env

  // containers and CI often have none: npm and pnpm keep their caches beside the toolchain then
  const home = join(cache, 'home')
  mkdirSync(home, { recursive: true })
  for (const name of Object.keys(env)) if (homeVariables.test(name)) delete env[name]
  return { ...env, HOME: home }
}

/** @throws Problem if nothing can be written to this checkout */
export function prepareCache() {
  try {
    mkdirSync(cache, { recursive: true })
  } catch (error) {
    throw new Problem(`cannot make ${cache} (${codeOf(error)}): use a checkout that belongs to you`)
  }
  for (const path of [cache, root]) {
    if (!isWritable(path)) throw new Problem(`cannot write to ${path}: use a checkout that belongs to you`)
  }
}

function findHome() {
  try {
    return homedir()
  } catch {
    // neither HOME nor an entry in the list of users
    return ''
  }
}

/** @param {string} path */
function isWritable(path) {
  if (path === '') return false
  try {
    accessSync(path, constants.W_OK | constants.X_OK)
    return true
  } catch {
    return false
  }
}
