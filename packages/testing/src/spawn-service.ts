import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { freePort } from './free-port.ts'
import { collectOutput, endChild, hasEnded, leash, type Ending } from './process-leash.ts'

/** When a service counts as started: a line it prints, or a path that answers 2xx. */
export type Readiness = { readonly log: RegExp } | { readonly path: string }

export type ServiceOptions = {
  /** The .ts file that node runs. */
  readonly entry: string
  readonly args?: readonly string[]
  /** All of its environment but PATH, PORT and NODE_COMPILE_CACHE: nothing else of this process leaks in. */
  readonly env?: Readonly<Record<string, string>>
  /** Default: a free one. Given to the service as PORT. */
  readonly port?: number
  /** Default: `GET /health` answers 2xx. A group named `port` in the log pattern says where the service listens. */
  readonly ready?: Readiness
  /** Default 20 000. */
  readonly startWithinMs?: number
}

/** A running process of ours. Disposing of it kills it; it ends with this process, however that ends. */
export type Service = AsyncDisposable & {
  readonly port: number
  /** `http://127.0.0.1:<port>` */
  readonly url: string
  readonly pid: number
  /** Everything it wrote to stdout and stderr. */
  readonly output: () => string
  /** @throws Error with the output, if it does not say so in `withinMs` (default 10 000) */
  readonly waitForOutput: (pattern: RegExp, withinMs?: number) => Promise<RegExpExecArray>
  /** Sends a signal (default SIGTERM) and waits for the end. */
  readonly stop: (signal?: NodeJS.Signals) => Promise<Ending>
  readonly kill9: () => Promise<Ending>
  /** SIGSTOP: it stands still, its connections stay open. */
  readonly pause: () => void
  readonly resume: () => void
  /** Resolves when it ends by itself or by a signal. */
  readonly ended: Promise<Ending>
}

/** What a service has of this process: where programs are, and compiled code that makes a start quicker. */
const inherited = ['PATH', 'NODE_COMPILE_CACHE'].flatMap((name) => {
  const value = process.env[name]
  return value === undefined ? [] : [[name, value] as const]
})

/**
 * Runs a node program as a process of its own and waits until it is ready.
 *
 * @throws Error with its output, if it ends or stays silent instead
 */
export async function spawnService(options: ServiceOptions): Promise<Service> {
  const port = options.port ?? (await freePort())
  const child = spawn(process.execPath, [options.entry, ...(options.args ?? [])], {
    env: { ...Object.fromEntries(inherited), PORT: String(port), ...options.env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  leash(child, 'KILL')
  const service = describe(child, port)
  try {
    const listening = await waitUntilReady(service, options)
    return { ...service, port: listening, url: `http://127.0.0.1:${listening}` }
  } catch (error) {
    await service.kill9()
    throw error
  }
}

function describe(child: ChildProcess, port: number): Service {
  const said = collectOutput(50_000_000)
  for (const stream of [child.stdout, child.stderr]) stream?.on('data', said.add)
  const ended = once(child, 'close').then(() => ({ exitCode: child.exitCode, signal: child.signalCode }))
  // whoever asks for it hears of a process that could not be started; nobody must
  ended.catch(() => undefined)
  const end = async (signal: NodeJS.Signals): Promise<Ending> => {
    await endChild(child, signal)
    return ended
  }
  return {
    port,
    url: `http://127.0.0.1:${port}`,
    pid: child.pid ?? -1,
    output: said.text,
    waitForOutput: (pattern, withinMs = 10_000) => waitForOutput(child, said.text, pattern, withinMs),
    stop: (signal = 'SIGTERM') => end(signal),
    kill9: () => end('SIGKILL'),
    pause: () => void child.kill('SIGSTOP'),
    resume: () => void child.kill('SIGCONT'),
    ended,
    [Symbol.asyncDispose]: async () => void (await end('SIGKILL')),
  }
}

async function waitUntilReady(service: Service, options: ServiceOptions): Promise<number> {
  const { ready = { path: '/health' }, startWithinMs = 20_000 } = options
  if ('log' in ready) {
    const match = await service.waitForOutput(ready.log, startWithinMs)
    return Number(match.groups?.['port'] ?? service.port)
  }
  const deadline = Date.now() + startWithinMs
  const ended = service.ended.then(() => true)
  while (!(await answers(`${service.url}${ready.path}`))) {
    if (Date.now() > deadline) throw new Error(`not ready within ${startWithinMs} ms:\n${service.output()}`)
    if (await Promise.race([ended, sleep(25, false)]))
      throw new Error(`ended instead of starting:\n${service.output()}`)
  }
  return service.port
}

async function answers(url: string): Promise<boolean> {
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(2000) })
    await response.body?.cancel()
    return response.ok
  } catch {
    return false
  }
}

async function waitForOutput(
  child: ChildProcess,
  text: () => string,
  pattern: RegExp,
  withinMs: number,
): Promise<RegExpExecArray> {
  const deadline = Date.now() + withinMs
  for (;;) {
    const over = hasEnded(child)
    const match = pattern.exec(text())
    if (match !== null) return match
    if (over) throw new Error(`ended without saying ${pattern}:\n${text()}`)
    if (Date.now() > deadline) throw new Error(`did not say ${pattern} within ${withinMs} ms:\n${text()}`)
    await sleep(20)
  }
}
