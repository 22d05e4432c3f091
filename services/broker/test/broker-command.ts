import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { onTestFinished, vi } from 'vitest'
import { runCli } from '../src/cli.ts'

export const brokerBin = fileURLToPath(new URL('../bin/nexus-broker.ts', import.meta.url))

export type Finished = { readonly exitCode: number | null; readonly stdout: string; readonly stderr: string }

export type Running = {
  readonly finished: Promise<Finished>
  /** What it has said so far. */
  readonly stderr: () => string
  readonly kill9: () => Promise<Finished>
  /** Ctrl-C, as a terminal sends it. */
  readonly interrupt: () => void
}

/** Starts `nexus-broker …` in a process that ends with the test, with nothing of our environment but PATH. */
export function startCommand(args: readonly string[], env: Readonly<Record<string, string>>): Running {
  const child = spawn(process.execPath, [brokerBin, ...args], {
    env: { PATH: process.env['PATH'], ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  // one that does not end by itself must not outlive its test
  onTestFinished(() => void child.kill('SIGKILL'))
  const said = { stdout: '', stderr: '' }
  child.stdout.setEncoding('utf8').on('data', (text: string) => void (said.stdout += text))
  child.stderr.setEncoding('utf8').on('data', (text: string) => void (said.stderr += text))
  const finished = once(child, 'close').then(() => ({ exitCode: child.exitCode, ...said }))
  return {
    finished,
    stderr: () => said.stderr,
    kill9: () => {
      child.kill('SIGKILL')
      return finished
    },
    interrupt: () => void child.kill('SIGINT'),
  }
}

/** Waits for a command in a process of its own. */
export function runCommand(args: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<Finished> {
  return startCommand(args, env).finished
}

/** The same within this process, which starts no Node: for commands whose end is all that counts. */
export async function callCommand(args: readonly string[], env: Readonly<Record<string, string>>): Promise<Finished> {
  const said = { stdout: '', stderr: '' }
  const spies = (['stdout', 'stderr'] as const).map((name) =>
    vi.spyOn(process[name], 'write').mockImplementation((chunk) => {
      said[name] += String(chunk)
      return true
    }),
  )
  try {
    return { exitCode: await runCli(args, env), ...said }
  } finally {
    for (const spy of spies) spy.mockRestore()
  }
}
