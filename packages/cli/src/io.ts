import type { Hub } from '@nexus/contracts'

export type Environment = Readonly<Record<string, string | undefined>>

/** A stream as far as it is written to. */
export type OutputStream = {
  readonly isTTY?: boolean | undefined
  readonly columns?: number | undefined
  write(text: string): unknown
}

/** Everything of the outside that a command meets. */
export type CliIo = {
  readonly stdin: NodeJS.ReadableStream & { readonly isTTY?: boolean | undefined }
  /** For results. */
  readonly stdout: OutputStream
  /** For everything on the way there: questions, progress, errors. */
  readonly stderr: OutputStream
  readonly env: Environment
  readonly fetch: typeof globalThis.fetch
  /** Ctrl-C: what is under way ends, and nothing new begins. */
  readonly signal: AbortSignal
  /** Shows a page to the person at this machine. @returns false where there is no browser */
  readonly openBrowser: (url: string) => Promise<boolean>
}

/** What only the composition of a program can bring: a package imports no service. */
export type CliServices = {
  /** The Broker's own use cases in this process, on the database of `DATABASE_URL`. */
  readonly openLocalHub: (env: Environment) => Promise<Hub & AsyncDisposable>
}
