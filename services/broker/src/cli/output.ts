/** A stream as far as it is written to. */
export type OutputStream = {
  readonly isTTY?: boolean | undefined
  readonly columns?: number | undefined
  write(text: string): unknown
}

export type OutputOptions = {
  /** For results. */
  readonly stdout: OutputStream
  /** For everything on the way there. */
  readonly stderr: OutputStream
  /** JSON lines instead of words and a bar; they are what anything but a terminal gets. */
  readonly asJson?: boolean
  readonly monotonicMs: () => number
}

/** What a command that takes its time says: to a person at a terminal, or in JSON lines to whatever collects them. */
export type Output = {
  /** How far it is. Drawn, or written, only as often as anybody reads it. */
  readonly progress: (done: number, total: number, what?: string) => void
  /** A warning on the way. */
  readonly warn: (words: string, event: JsonEvent) => void
  /** A part of the result. */
  readonly tell: (words: string, event: JsonEvent) => void
  /** The end: no bar is left behind, the last progress is written. */
  readonly end: (words: string, event: JsonEvent) => void
}

export type JsonEvent = { readonly event: string } & Readonly<Record<string, unknown>>

const drawEveryMs = 100
const writeEveryMs = 5_000

export function createOutput(options: OutputOptions): Output {
  const asJson = options.asJson === true || options.stderr.isTTY !== true
  return asJson ? createJsonOutput(options) : createTerminalOutput(options)
}

function createJsonOutput({ stdout, stderr, monotonicMs }: OutputOptions): Output {
  const measure = createMeter(monotonicMs)
  let last: { readonly at: number; readonly isWritten: boolean; readonly event: JsonEvent } | undefined
  const write = (stream: OutputStream, event: JsonEvent): void => void stream.write(`${JSON.stringify(event)}\n`)
  const tell = (_words: string, event: JsonEvent): void => write(stdout, event)
  return {
    progress(done, total, what = 'rows') {
      const { perSecond, secondsLeft } = measure(done, total, what)
      const event = { event: 'progress', what, done, total, per_second: perSecond, seconds_left: secondsLeft ?? null }
      const now = monotonicMs()
      const isDue = last === undefined || now - last.at >= writeEveryMs
      if (isDue) write(stderr, event)
      last = { at: isDue ? now : (last?.at ?? now), isWritten: isDue, event }
    },
    warn: (_words, event) => write(stderr, event),
    tell,
    end(words, event) {
      if (last?.isWritten === false) write(stderr, last.event)
      tell(words, event)
    },
  }
}

function createTerminalOutput({ stdout, stderr, monotonicMs }: OutputOptions): Output {
  const measure = createMeter(monotonicMs)
  let drawnAt = Number.NEGATIVE_INFINITY
  let bar = ''
  const draw = (text: string): void => void stderr.write(`\r\u001b[2K${text}`)
  // a line goes where the bar stands, and the bar below it
  const writeAbove = (stream: OutputStream, words: string): void => {
    if (bar !== '') draw('')
    stream.write(`${words}\n`)
    if (bar !== '') draw(bar)
  }
  return {
    progress(done, total, what = 'rows') {
      bar = drawBar(done, total, what, measure(done, total, what), columnsOf(stderr))
      const now = monotonicMs()
      if (now - drawnAt < drawEveryMs && done < total) return
      drawnAt = now
      draw(bar)
    },
    warn: (words) => writeAbove(stderr, words),
    tell: (words) => writeAbove(stdout, words),
    end(words) {
      if (bar !== '') stderr.write('\n')
      bar = ''
      stdout.write(`${words}\n`)
    },
  }
}

/** A terminal that was never told its size has 0 columns. */
function columnsOf({ columns = 0 }: OutputStream): number {
  return columns > 0 ? columns : 80
}

type Pace = { readonly perSecond: number; readonly secondsLeft: number | undefined }

/** Since the first call about the same things; undefined while nothing tells how long it will take. */
function createMeter(monotonicMs: () => number): (done: number, total: number, what: string) => Pace {
  let began: { readonly at: number; readonly done: number; readonly what: string } | undefined
  return (done, total, what) => {
    if (began?.what !== what) began = { at: monotonicMs(), done, what }
    const seconds = (monotonicMs() - began.at) / 1000
    const rate = seconds > 0 ? (done - began.done) / seconds : 0
    return { perSecond: Math.round(rate), secondsLeft: rate > 0 ? Math.ceil((total - done) / rate) : undefined }
  }
}

function drawBar(done: number, total: number, what: string, { perSecond, secondsLeft }: Pace, columns: number): string {
  const share = total === 0 ? 1 : done / total
  const left = secondsLeft === undefined ? '' : `  ${describeSeconds(secondsLeft)} left`
  const words = ` ${String(Math.floor(share * 100)).padStart(3)} %  ${group(done)} of ${group(total)} ${what}  ${group(perSecond)}/s${left}`
  // the last column stays free: a terminal would begin a new line
  const width = Math.max(0, Math.min(30, columns - words.length - 3))
  const filled = Math.floor(share * width)
  return `[${'#'.repeat(filled)}${'.'.repeat(width - filled)}]${words}`.slice(0, columns - 1)
}

function describeSeconds(seconds: number): string {
  if (seconds < 60) return `${seconds} s`
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${seconds % 60} s`
  return `${Math.floor(seconds / 3600)} h ${Math.floor((seconds % 3600) / 60)} min`
}

/** 1234567 → 1,234,567 */
export function group(count: number): string {
  return count.toLocaleString('en-US')
}
