import { setTimeout as sleep } from 'node:timers/promises'

/** A log line as pino writes it. */
export type LogLine = Readonly<Record<string, unknown>>

/** A pino destination that remembers. Give it as pino's second argument. */
export type CapturedLogs = {
  readonly write: (chunk: string) => void
  /** Everything that was written, byte for byte: for scans that look for secrets. */
  readonly text: () => string
  /** The lines as objects. */
  readonly lines: () => readonly LogLine[]
  readonly clear: () => void
  /**
   * Waits for a line.
   *
   * @throws Error with the log so far, if none comes in `withinMs` (default 10000)
   */
  readonly waitFor: (matches: (line: LogLine) => boolean, withinMs?: number) => Promise<LogLine>
}

export function captureLogs(): CapturedLogs {
  let written = ''
  const arrivals = new EventTarget()
  const lines = (): readonly LogLine[] => written.split('\n').slice(0, -1).map(parseLine)
  const waitFor: CapturedLogs['waitFor'] = async (matches, withinMs = 10_000) => {
    const deadline = AbortSignal.timeout(withinMs)
    for (;;) {
      const found = lines().find(matches)
      if (found !== undefined) return found
      if (deadline.aborted) throw new Error(`no such log line within ${withinMs} ms:\n${written}`)
      await nextArrival(arrivals, deadline)
    }
  }
  return {
    write: (chunk) => {
      written += chunk
      arrivals.dispatchEvent(new Event('line'))
    },
    text: () => written,
    lines,
    clear: () => {
      written = ''
    },
    waitFor,
  }
}

function parseLine(line: string): LogLine {
  const parsed: unknown = JSON.parse(line)
  if (typeof parsed !== 'object' || parsed === null) throw new Error(`not a log line: ${line}`)
  return { ...parsed }
}

async function nextArrival(arrivals: EventTarget, deadline: AbortSignal): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>()
  const done = (): void => resolve()
  arrivals.addEventListener('line', done, { once: true })
  deadline.addEventListener('abort', done, { once: true })
  await promise
  arrivals.removeEventListener('line', done)
  // lets the writer finish its own turn first
  await sleep(0)
}
