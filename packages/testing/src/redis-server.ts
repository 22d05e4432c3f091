import { execFile, spawn, type ChildProcess } from 'node:child_process'
import { accessSync, constants, existsSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { promisify } from 'node:util'
import { freePort } from './free-port.ts'
import { collectOutput, endChild, hasEnded, leash } from './process-leash.ts'

/** A `redis-server` process of our own; it ends with this process. */
export type RedisServer = AsyncDisposable & {
  readonly port: number
  readonly stop: () => Promise<void>
  readonly start: () => Promise<void>
  readonly pause: () => void
  readonly resume: () => void
}

/** The path of an installed `redis-server`. */
export function findRedisServer(): string | undefined {
  // Homebrew's and /usr/local's folders are often missing from the PATH of a service
  const folders = [...(process.env['PATH'] ?? '').split(delimiter), '/usr/local/bin', '/opt/homebrew/bin']
  return folders.map((folder) => join(folder, 'redis-server')).find(isExecutable)
}

/** Installs Debian's package, if this is Debian and we are root; `undefined` if it is not, or apt cannot. */
export async function installRedisServer(): Promise<string | undefined> {
  if (process.getuid?.() !== 0 || !existsSync('/etc/debian_version')) return undefined
  // test files run side by side and may all want it; the server itself must not be started as a service
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive', RUNLEVEL: '1' }
  const lock = ['-o', 'DPkg::Lock::Timeout=180']
  const apt = (...args: string[]): Promise<unknown> => promisify(execFile)('apt-get', [...lock, ...args], { env })
  try {
    await apt('update').catch(() => undefined)
    await apt('install', '-y', '--no-install-recommends', 'redis-server')
  } catch {
    return undefined
  }
  return findRedisServer()
}

/** @throws Error with what it said, if the server does not start */
export async function spawnRedisServer(binary: string): Promise<RedisServer> {
  const { server: first, port } = await launchOnFreePort(binary)
  let server = first
  const stop = async (): Promise<void> => void (await endChild(server, 'SIGKILL'))
  return {
    port,
    stop,
    start: async () => {
      if (hasEnded(server)) server = await launch(binary, port)
    },
    pause: () => void server.kill('SIGSTOP'),
    resume: () => void server.kill('SIGCONT'),
    [Symbol.asyncDispose]: stop,
  }
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}

async function launchOnFreePort(binary: string): Promise<{ server: ChildProcess; port: number }> {
  for (let attempt = 1; ; attempt++) {
    const port = await freePort()
    try {
      return { server: await launch(binary, port), port }
    } catch (error) {
      // another process was quicker to take the free port
      if (attempt === 5 || !String(error).includes('Address already in use')) throw error
    }
  }
}

function launch(binary: string, port: number): Promise<ChildProcess> {
  const settings = ['--port', String(port), '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no']
  const server = spawn(binary, settings, { cwd: tmpdir(), stdio: ['ignore', 'pipe', 'ignore'], detached: true })
  leash(server, 'KILL')
  const said = collectOutput(20_000)
  return new Promise((resolve, reject) => {
    server.stdout.on('data', (chunk: Buffer) => {
      said.add(chunk)
      if (said.text().includes('Ready to accept connections')) resolve(server)
    })
    server.once('error', reject)
    server.once('close', () => reject(new Error(`redis-server did not start: ${said.text()}`)))
  })
}
