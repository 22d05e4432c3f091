import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { endChild, hasEnded, leash } from '@nexus/testing/process-leash'

export type ProgramOptions = {
  /** As it is called in messages. */
  readonly title: string
  /** The .ts file that node runs. */
  readonly entry: string
  readonly args?: readonly string[]
  /** What it needs beside the machine's own settings. */
  readonly env: Readonly<Record<string, string>>
  /** Its stdout and stderr, from this start on. */
  readonly logFile: string
  /** Answers 2xx when it is ready. */
  readonly readyUrl: string
}

/** One of Nexus's services, as a process of its own. Disposing of it lets it finish what it does. */
export type Program = AsyncDisposable & {
  /** @throws Error with the last lines of its log, if it ends or takes too long; the signal's reason, if it aborts */
  readonly ready: (signal: AbortSignal) => Promise<void>
  /** Rejects, with the last lines of its log, when it ends without being asked to. */
  readonly failed: Promise<never>
}

// the rest of the environment is the person's: a PORT or an API_KEY of another project must not end up in here
const machineSettings =
  /^(PATH|HOME|TMPDIR|TZ|LANG|LC_\w+|NODE_EXTRA_CA_CERTS|NODE_USE_SYSTEM_CA|SSL_CERT_(FILE|DIR)|HTTPS_PROXY|NO_PROXY)$/

const patienceMs = 60_000
const tailLines = 15

/** Starts a service. It ends with this process, however that ends. */
export const startProgram = (options: ProgramOptions): Program => {
  const inherited = Object.entries(process.env).filter(([name]) => machineSettings.test(name))
  const log = openSync(options.logFile, 'w', 0o600)
  // a session of its own: a Ctrl-C in the terminal is for us, and we stop things in their order
  const child = spawn(process.execPath, [options.entry, ...(options.args ?? [])], {
    env: {
      ...Object.fromEntries(inherited),
      // quieter logs would not say that the service is up
      LOG_LEVEL: /^(trace|debug)$/.test(process.env['LOG_LEVEL'] ?? '') ? process.env['LOG_LEVEL'] : 'info',
      // compiled code kept from one start to the next, where nobody else may put any
      NODE_COMPILE_CACHE: join(dirname(options.logFile), '..', 'compile-cache'),
      ...options.env,
    },
    stdio: ['ignore', log, log],
    detached: true,
  })
  closeSync(log)
  leash(child, 'INT')
  const life = { isStopping: false }
  const failed = watch(child, options, life)
  // whoever runs the program waits for this; during its start `ready` tells the same
  failed.catch(() => undefined)
  return {
    ready: (signal) => waitUntilReady(child, options, signal),
    failed,
    [Symbol.asyncDispose]: async () => {
      life.isStopping = true
      await endChild(child, 'SIGTERM')
    },
  }
}

const watch = async (child: ChildProcess, options: ProgramOptions, life: { isStopping: boolean }): Promise<never> => {
  await once(child, 'exit')
  if (life.isStopping) return new Promise<never>(() => undefined)
  throw describeEnd('ended unexpectedly', options)
}

const waitUntilReady = async (child: ChildProcess, options: ProgramOptions, signal: AbortSignal): Promise<void> => {
  const deadline = performance.now() + patienceMs
  while (!(saysItIsUp(options.logFile) && (await answers(options.readyUrl)))) {
    signal.throwIfAborted()
    if (hasEnded(child)) throw describeEnd('did not start', options)
    if (performance.now() > deadline) throw describeEnd(`was not ready after ${patienceMs / 1000} s`, options)
    await sleep(50)
  }
  if (hasEnded(child)) throw describeEnd('did not start', options)
}

/**
 * In its own log, which nobody else writes: another user of this machine may have taken the port first, answer there in
 * its place, and be sent the operator key.
 */
const saysItIsUp = (logFile: string): boolean => /"msg":"nexus-[a-z]+ is up"/.test(readFileSync(logFile, 'utf8'))

const answers = async (url: string): Promise<boolean> => {
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(2000) })
    await response.body?.cancel()
    return response.ok
  } catch {
    return false
  }
}

const describeEnd = (what: string, { title, logFile }: ProgramOptions): Error => {
  const tail = readFileSync(logFile, 'utf8').trimEnd().split('\n').slice(-tailLines).map(readable).join('\n')
  return new Error(`the ${title} ${what}. Its last words, from ${logFile}:\n${tail}`)
}

/** Log lines are JSON; for a person the message and the error are enough. */
const readable = (line: string): string => {
  if (!line.startsWith('{')) return `  ${line}`
  try {
    const entry: unknown = JSON.parse(line)
    return `  ${[pick(entry, 'msg'), pick(pick(entry, 'err'), 'message')].filter((text) => typeof text === 'string').join(': ')}`
  } catch {
    return `  ${line}`
  }
}

const pick = (value: unknown, name: string): unknown =>
  typeof value === 'object' && value !== null ? Object.getOwnPropertyDescriptor(value, name)?.value : undefined
