import { mkdirSync, readFileSync, existsSync } from 'node:fs'
import { rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

type Entry = { readonly value: unknown; readonly expiresAt: number | null }

/** What the demo provider must remember, in memory and, with a folder, across restarts. */
export type StateStore = {
  readonly get: (key: string) => unknown
  readonly entries: () => Iterable<readonly [string, unknown]>
  /** `seconds`: how long it is kept; for ever if left out. */
  readonly set: (key: string, value: unknown, seconds?: number) => void
  readonly delete: (key: string) => void
  /** Resolves when everything set so far is on disk. */
  readonly saved: () => Promise<void>
}

/** Opens the store kept in `dir` (0700, its file 0600), or one that forgets. */
export function openStateStore(dir: string | undefined): StateStore {
  if (dir === undefined) return createStore(new Map(), () => Promise.resolve())
  mkdirSync(dir, { recursive: true, mode: 0o700 })
  const file = join(dir, 'state.json')
  const kept = new Map(existsSync(file) ? readEntries(file) : [])
  return createStore(kept, createSaver(file, kept))
}

function createStore(kept: Map<string, Entry>, saved: () => Promise<void>): StateStore {
  let writes = 0
  return {
    get: (key) => {
      const entry = kept.get(key)
      return entry === undefined || isOver(entry) ? undefined : entry.value
    },
    entries: () => kept.entries().map(([key, { value }]) => [key, value] as const),
    set: (key, value, seconds) => {
      kept.set(key, { value, expiresAt: seconds === undefined ? null : Date.now() + seconds * 1000 })
      writes += 1
      if (writes % 1000 === 0) prune(kept)
    },
    delete: (key) => void kept.delete(key),
    saved,
  }
}

function isOver({ expiresAt }: Entry): boolean {
  return expiresAt !== null && expiresAt <= Date.now()
}

function prune(kept: Map<string, Entry>): void {
  for (const [key, entry] of kept) if (isOver(entry)) kept.delete(key)
}

function readEntries(file: string): [string, Entry][] {
  const parsed: unknown = JSON.parse(readFileSync(file, 'utf8'))
  if (!Array.isArray(parsed)) throw new Error(`${file} is not a demo provider's state: delete it to start afresh`)
  return parsed
}

/** One writer at a time: whoever asks during a write shares the next one. */
function createSaver(file: string, kept: Map<string, Entry>): () => Promise<void> {
  let current: Promise<void> | undefined
  let next: Promise<void> | undefined
  const write = async (): Promise<void> => {
    prune(kept)
    await writeFile(`${file}.new`, JSON.stringify([...kept]), { mode: 0o600 })
    await rename(`${file}.new`, file)
  }
  const begin = (): Promise<void> => {
    next = undefined
    current = write().finally(() => {
      if (next === undefined) current = undefined
    })
    return current
  }
  return () => {
    if (current === undefined) return begin()
    next ??= current.then(begin, begin)
    return next
  }
}
