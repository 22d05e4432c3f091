// A real PostgreSQL from the package registry, started directly: the usual wrapper registers exit hooks and creates
// system users.
import { execFileSync, spawn, type ChildProcess } from 'node:child_process'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { freePort } from './free-port.ts'
import { postgresEnv, prepareHome, type PostgresHome } from './postgres-home.ts'
import { collectOutput, endChild, hasEnded, leash } from './process-leash.ts'

/** `fast` disconnects clients and writes a checkpoint; `immediate` is a crash, after which the log is replayed. */
export type StopMode = 'fast' | 'immediate'

/** A PostgreSQL server of our own on 127.0.0.1. Disposing of it stops it and keeps its data. */
export type Cluster = AsyncDisposable & {
  readonly port: number
  /** The postmaster's process id, of the latest start. */
  readonly pid: number
  /** The superuser's connection URL for `database`. */
  readonly url: (database: string) => string
  readonly stop: (mode?: StopMode) => Promise<void>
  /** Starts again after `stop` (or a crash), on the same port. */
  readonly start: () => Promise<void>
}

export type ClusterOptions = {
  /** Default: any free port, another one at each `startCluster`. */
  readonly port?: number
  /** Server settings, as in postgresql.conf. */
  readonly settings?: Readonly<Record<string, string>>
}

type StartFailure = 'running' | 'port-taken' | 'orphans' | 'other'

/**
 * Starts a PostgreSQL server whose data lives in `dir`, made on first use. Works without an installed PostgreSQL, as an
 * ordinary user and as root (then it runs as `postgres` or `nobody`). It ends with this process, however that ends.
 *
 * @throws Error if a server already runs on `dir`, the port is taken, or the server does not come up; the message says
 *   which
 */
export async function startCluster(dir: string, options: ClusterOptions = {}): Promise<Cluster> {
  const home = await prepareHome(dir)
  let running: { readonly server: ChildProcess; readonly port: number } = await launchOnPort(home, options)
  const { port } = running
  const start = async (): Promise<void> => {
    if (!hasEnded(running.server)) throw new Error(`PostgreSQL on port ${port} is running already`)
    running = { server: await launch(home, port, options.settings), port }
  }
  const stop = async (mode: StopMode = 'fast'): Promise<void> => {
    await endChild(running.server, mode === 'fast' ? 'SIGINT' : 'SIGQUIT')
  }
  return {
    port,
    get pid() {
      return running.server.pid ?? -1
    },
    url: (database) => `postgresql://nexus:${home.password}@127.0.0.1:${port}/${database}`,
    stop,
    start,
    [Symbol.asyncDispose]: () => stop(),
  }
}

class StartError extends Error {
  readonly reason: StartFailure
  constructor(reason: StartFailure, message: string) {
    super(message)
    this.reason = reason
  }
}

async function launchOnPort(
  home: PostgresHome,
  { port, settings }: ClusterOptions,
): Promise<{ server: ChildProcess; port: number }> {
  if (port !== undefined) return { server: await launch(home, port, settings), port }
  for (let attempt = 1; ; attempt++) {
    const candidate = await freePort()
    try {
      return { server: await launch(home, candidate, settings), port: candidate }
    } catch (error) {
      // another process was quicker to take the free port
      if (attempt === 5 || !(error instanceof StartError && error.reason === 'port-taken')) throw error
    }
  }
}

/** After a kill -9 of the postmaster its backends finish what they do first, and hold the data folder until then. */
async function launch(home: PostgresHome, port: number, settings: ClusterOptions['settings']): Promise<ChildProcess> {
  for (let attempt = 1; ; attempt++) {
    refuseIfRunning(home.data)
    try {
      return await spawnServer(home, port, settings)
    } catch (error) {
      if (attempt === 50 || !(error instanceof StartError && error.reason === 'orphans')) throw error
      await sleep(200)
    }
  }
}

function spawnServer(
  home: PostgresHome,
  port: number,
  settings: ClusterOptions['settings'] = {},
): Promise<ChildProcess> {
  const forced = { listen_addresses: '127.0.0.1', unix_socket_directories: '', ...settings }
  const assignments = Object.entries(forced).flatMap(([name, value]) => ['-c', `${name}=${value}`])
  // its own session: a Ctrl-C in the terminal must not stop the database before its clients
  const server = spawn(home.postgres, ['-D', home.data, '-p', String(port), ...assignments], {
    ...home.account,
    env: postgresEnv,
    cwd: '/',
    stdio: ['ignore', 'ignore', 'pipe'],
    detached: true,
  })
  leash(server, 'INT', home.account)
  const said = collectOutput(20_000)
  return new Promise((resolve, reject) => {
    server.stderr.on('data', (chunk: Buffer) => {
      said.add(chunk)
      if (said.text().includes('ready to accept connections')) resolve(server)
    })
    server.once('error', reject)
    server.once('close', () => reject(explainFailure(said.text(), home.data, port)))
  })
}

function explainFailure(said: string, data: string, port: number): StartError {
  if (said.includes('Address already in use')) {
    return new StartError('port-taken', `port ${port} is taken: stop what listens there or choose another one`)
  }
  if (said.includes('lock file "postmaster.pid" already exists')) {
    return new StartError('running', `another PostgreSQL is using ${data}: stop it first`)
  }
  const reason = /pre-existing shared memory block|lock file "postmaster.pid" is empty/.test(said) ? 'orphans' : 'other'
  return new StartError(reason, `PostgreSQL did not start on ${data}: ${said}`)
}

/** The lock file outlives a kill -9, and by the next start its process id may belong to somebody else. */
function refuseIfRunning(data: string): void {
  const file = join(data, 'postmaster.pid')
  if (!existsSync(file)) return
  const lines = readFileSync(file, 'utf8').split('\n')
  const pid = Number(lines[0])
  const command = commandLine(pid)
  if (command.includes(data)) {
    const where = `process ${pid}, port ${lines[3]}`
    throw new StartError('running', `PostgreSQL is running on ${data} already (${where}): stop the other one first`)
  }
  // PostgreSQL takes any living process for its predecessor, except its own parent; the rest of the file names the
  // shared memory, which must still be checked for surviving backends
  if (command !== '') writeFileSync(file, [process.pid, ...lines.slice(1)].join('\n'))
}

function commandLine(pid: number): string {
  if (!Number.isInteger(pid) || pid <= 0) return ''
  try {
    if (existsSync('/proc/self/cmdline')) return readFileSync(`/proc/${pid}/cmdline`, 'utf8')
    return execFileSync('ps', ['-o', 'command=', '-p', String(pid)], { encoding: 'utf8' })
  } catch {
    return ''
  }
}
