import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Image, envInside } from './perform-image.ts'

type Environment = Readonly<Record<string, string>>

export type Ending = { readonly code: number | null; readonly signal: NodeJS.Signals | null; readonly output: string }

/** A process of an image, as the engine would start it. Disposing of it kills it. */
export type Container = AsyncDisposable & {
  readonly output: () => string
  /** Sends the image's stop signal and waits for the end, at most `withinMs`. */
  readonly stop: (withinMs?: number) => Promise<Ending>
  readonly ended: Promise<Ending>
  /** Runs the image's HEALTHCHECK until it succeeds. @throws Error if it does not in `withinMs`, or the process ends */
  readonly waitUntilHealthy: (withinMs?: number) => Promise<void>
}

/** Starts an image's entrypoint with `args` in place of its CMD, or with its CMD. */
export function startContainer(image: Image, env: Environment, args = image.command): Container {
  const child = spawnInside(image, [...image.entrypoint, ...args], env)
  const ended = describeEnd(child)
  const output = collect(child)
  const finish = async (): Promise<Ending> => ({ ...(await ended), output: output() })
  return {
    output,
    ended: finish(),
    async stop(withinMs = 30_000) {
      child.kill(image.stopSignal)
      const late = new AbortController()
      const killer = sleep(withinMs, undefined, { signal: late.signal }).then(
        () => child.kill('SIGKILL'),
        () => false,
      )
      const ending = await finish()
      late.abort()
      await killer
      return ending
    },
    async waitUntilHealthy(withinMs = 30_000) {
      const deadline = performance.now() + withinMs
      while (!(await checkHealth(image, env))) {
        if (child.exitCode !== null) throw new Error(`${image.name} ended instead of starting:\n${output()}`)
        if (performance.now() > deadline) throw new Error(`${image.name} is not healthy:\n${output()}`)
        await sleep(100)
      }
    },
    async [Symbol.asyncDispose]() {
      child.kill('SIGKILL')
      await ended
    },
  }
}

/** Runs an image to its end. */
export async function runContainer(image: Image, env: Environment, args?: readonly string[]): Promise<Ending> {
  await using container = startContainer(image, env, args)
  return await container.ended
}

/** Runs a command beside an image's process, with the same environment, as `docker exec` does. */
export async function execInside(image: Image, env: Environment, command: readonly string[]): Promise<Ending> {
  const child = spawnInside(image, command, env)
  const output = collect(child)
  return { ...(await describeEnd(child)), output: output() }
}

/** Whether the image's own HEALTHCHECK says that a service with this environment is healthy. */
export async function checkHealth(image: Image, env: Environment): Promise<boolean> {
  const child = spawnInside(image, image.healthcheck, env)
  collect(child)
  return (await describeEnd(child)).code === 0
}

/** Folders that the image makes lie below its root here. */
function pathsInside({ root }: Image, env: Environment): Environment {
  const inside = (value: string): string =>
    /^\/\w+$/.test(value) && existsSync(join(root, value)) ? join(root, value) : value
  return Object.fromEntries(Object.entries(env).map(([name, value]) => [name, inside(value)]))
}

function spawnInside(image: Image, command: readonly string[], env: Environment): ChildProcess {
  const [program = '', ...args] = command
  // what the image links into its PATH says itself in its first line that Node runs it
  const linked = join(image.root, 'usr/local/bin', program)
  if (program !== 'node' && !existsSync(linked)) throw new Error(`${image.name} runs ${program}, not node`)
  const inside = args.map((arg) => (arg.startsWith('/') ? join(image.root, arg) : arg))
  return spawn(program === 'node' ? process.execPath : linked, inside, {
    cwd: join(image.root, image.workdir),
    // nothing of ours leaks in: the image's own variables, and what it is started with
    env: { PATH: process.env['PATH'], ...envInside(image), ...pathsInside(image, env) },
    stdio: ['ignore', 'pipe', 'pipe'],
    ...findAccount(image),
  })
}

/** The image's user, where this process may act as somebody else and that somebody may run our Node. */
function findAccount({ name, user }: Image): { readonly uid: number; readonly gid: number } | undefined {
  const [uid = 0, gid = 0] = user.split(':').map(Number)
  if (!(uid > 0 && gid > 0)) throw new Error(`${name} runs as ${user}: it must be a number other than 0`)
  if (process.getuid?.() !== 0) return undefined
  const mayRun = spawnSync(process.execPath, ['--version'], { uid, gid, cwd: '/', stdio: 'ignore' }).status === 0
  return mayRun ? { uid, gid } : undefined
}

function collect(child: ChildProcess): () => string {
  let said = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream?.on('data', (chunk: Buffer) => {
      said = (said + chunk.toString()).slice(-100_000)
    })
  }
  return () => said
}

async function describeEnd(child: ChildProcess): Promise<Omit<Ending, 'output'>> {
  await once(child, 'close')
  return { code: child.exitCode, signal: child.signalCode }
}
