import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PassThrough } from 'node:stream'
import { fileURLToPath } from 'node:url'
import type { Hub } from '@nexus/contracts'
import { leash } from '@nexus/testing/process-leash'
import { expect, vi } from 'vitest'
import { services } from '../bin/services.ts'
import { type CliIo, type CliServices, runCli } from '../src/index.ts'

const bin = fileURLToPath(new URL('../bin/nexus.ts', import.meta.url))

export type RunOptions = {
  /** All of its environment but PATH and the compile cache. */
  readonly env?: Readonly<Record<string, string>>
  readonly cwd?: string
  /** In a pseudo terminal: then everything that is shown is stdout. */
  readonly terminal?: boolean
}

export type Ended = { readonly exitCode: number | null; readonly stdout: string; readonly stderr: string }

/** Whether this machine can put a program into a terminal: util-linux has `script`, macOS one with other options. */
export const hasTerminals = process.platform === 'linux'

/** `nexus …` as a process, piped unless told otherwise. */
export function startNexus(args: readonly string[], { env = {}, cwd, terminal = false }: RunOptions = {}) {
  const nexus = [process.execPath, bin, ...args]
  const [command = '', ...rest] = terminal ? ['script', '-qefc', nexus.map(quote).join(' '), '/dev/null'] : nexus
  const child = spawn(command, rest, {
    cwd,
    env: { ...inherited(), ...(terminal && { TERM: 'xterm' }), ...env },
    stdio: 'pipe',
  })
  leash(child, 'KILL')
  const said = { stdout: '', stderr: '' }
  for (const name of ['stdout', 'stderr'] as const) {
    child[name].setEncoding('utf8').on('data', (text: string) => void (said[name] += text))
  }
  // it may be gone before everything is written
  child.stdin.on('error', () => undefined)
  return {
    child,
    said,
    ended: once(child, 'close').then((): Ended => ({ exitCode: child.exitCode, ...said })),
    /** @returns what a group of the pattern caught */
    waitFor: (pattern: RegExp, stream: keyof typeof said = 'stdout') => waitFor(child, () => said[stream], pattern),
    type: (text: string) => void child.stdin.write(text),
  }
}

/** Runs it to its end; whatever it asks is answered by the end of the input. */
export async function runNexus(args: readonly string[], options: RunOptions = {}): Promise<Ended> {
  const { child, ended } = startNexus(args, options)
  if (options.terminal !== true) child.stdin.end()
  return ended
}

const nobody = async (): Promise<never> => {
  throw new Error('nobody was to be asked')
}

const idleHub: Hub = {
  createToken: nobody,
  listTokens: nobody,
  getToken: nobody,
  revokeToken: nobody,
  setTokenZone: nobody,
  removeTokenZone: nobody,
  listZones: nobody,
  createZone: nobody,
  removeZone: nobody,
  status: nobody,
}

/** `nexus …` piped, without a process of its own: for what a process would add nothing to but a second. */
export function callNexus(args: readonly string[], env: Readonly<Record<string, string>>): Promise<Ended> {
  return runHere(args, { env, fetch }, services)
}

/** For calls that end before anything is asked of a hub. */
export function callWrongly(args: readonly string[]): Promise<Ended> {
  const openIdleHub = async () => ({ ...idleHub, [Symbol.asyncDispose]: async () => undefined })
  const outside = { env: { DATABASE_URL: 'postgresql://nobody' }, fetch: nobody }
  return runHere(args, outside, { openLocalHub: openIdleHub })
}

async function runHere(
  args: readonly string[],
  outside: Pick<CliIo, 'env' | 'fetch'>,
  brought: CliServices,
): Promise<Ended> {
  const said = { stdout: '', stderr: '' }
  const writeTo = (name: keyof typeof said) => ({ write: (text: string) => void (said[name] += text) })
  const io = {
    stdin: new PassThrough().end(),
    stdout: writeTo('stdout'),
    stderr: writeTo('stderr'),
    ...outside,
    signal: new AbortController().signal,
    openBrowser: nobody,
  }
  const exitCode = await runCli(args, io, brought)
  return { exitCode, ...said }
}

async function waitFor(child: ChildProcess, text: () => string, pattern: RegExp): Promise<string> {
  return vi.waitFor(
    () => {
      const match = pattern.exec(text())
      if (match !== null) return match[1] ?? match[0]
      expect(child.exitCode, `it ended without saying ${pattern}:\n${text()}`).toBeNull()
      throw new Error(`it does not say ${pattern}:\n${text()}`)
    },
    { timeout: 20_000, interval: 20 },
  )
}

function inherited(): Record<string, string> {
  const { PATH = '/usr/bin:/bin', NODE_COMPILE_CACHE = join(tmpdir(), 'nexus-compile-cache') } = process.env
  return { PATH, NODE_COMPILE_CACHE }
}

function quote(word: string): string {
  return `'${word.replaceAll("'", String.raw`'\''`)}'`
}
