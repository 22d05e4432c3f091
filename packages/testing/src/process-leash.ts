import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { Socket } from 'node:net'

/** What the leash sends when this process is gone. */
export type LeashSignal = 'INT' | 'KILL'

/** How a child process ended: an exit code, or the signal that killed it. */
export type Ending = { readonly exitCode: number | null; readonly signal: NodeJS.Signals | null }

/**
 * Ends `child` when this process ends, even by SIGKILL, when no exit handler runs: a shell waits on a pipe whose other
 * end only this process holds, and the kernel closes that end whatever happens. The leash falls off when the child
 * exits by itself.
 */
export function leash(child: ChildProcess, signal: LeashSignal, as?: { uid: number; gid: number }): void {
  if (child.pid === undefined) return
  // its own session: a Ctrl-C in the terminal is for this process to handle, in its own order
  const watcher = spawn('/bin/sh', ['-c', 'read -r _; kill -s "$1" "$2"', 'leash', signal, String(child.pid)], {
    ...as,
    stdio: ['pipe', 'ignore', 'ignore'],
    detached: true,
    cwd: '/',
  })
  watcher.unref()
  if (watcher.stdin instanceof Socket) watcher.stdin.unref()
  // without a shell there is no leash; the child itself works all the same
  watcher.on('error', () => undefined)
  const release = (): void => void watcher.kill('SIGKILL')
  if (hasEnded(child)) release()
  else child.once('exit', release)
}

/** True also for a child that could not be started. */
export function hasEnded(child: ChildProcess): boolean {
  return child.pid === undefined || child.exitCode !== null || child.signalCode !== null
}

/** Sends `signal` and waits until the child is gone; a child that has ended already is left alone. */
export async function endChild(child: ChildProcess, signal: NodeJS.Signals): Promise<Ending> {
  if (!hasEnded(child)) {
    const ended = once(child, 'exit')
    child.kill(signal)
    // a stopped process acts on no signal but SIGKILL until it continues
    child.kill('SIGCONT')
    await ended
  }
  return { exitCode: child.exitCode, signal: child.signalCode }
}

/** Collects what a stream says, keeping at most `limit` characters from its end. */
export function collectOutput(limit: number): { add: (chunk: Buffer) => void; text: () => string } {
  let said = ''
  const decoder = new TextDecoder()
  const add = (chunk: Buffer): void => {
    said += decoder.decode(chunk, { stream: true })
    // not at each chunk: to cut is to copy all that is kept
    if (said.length > 2 * limit) said = said.slice(-limit)
  }
  return { add, text: () => said.slice(-limit) }
}
