import { assertSendable, type Fetch, type Timeouts, type Transport } from './call-nexus.ts'
import { buildClient, type NexusClient } from './client.ts'
import { realTiming } from './timing.ts'
import { version } from './version.ts'

export type NexusClientOptions = {
  /** The Gateway's, with a path if it lies below one. */
  readonly baseUrl: string | URL
  /** The agent's own; a function is asked before each call. */
  readonly token?: string | (() => string | undefined | Promise<string | undefined>) | undefined
  /** Go with each call to Nexus, and nowhere else. */
  readonly headers?: Readonly<Record<string, string>> | undefined
  /** Default: the global one. */
  readonly fetch?: Fetch | undefined
  /** Milliseconds. Default: `{ attempt: 20_000, provider: 35_000, completion: 70_000, total: 90_000 }`. */
  readonly timeouts?: Partial<Timeouts> | undefined
}

const usualTimeouts: Timeouts = { attempt: 20_000, provider: 35_000, completion: 70_000, total: 90_000 }

/**
 * A client of Nexus. It writes to no log, and nothing that is printed of it shows a secret.
 *
 * @throws TypeError for a base URL, a token or a header that cannot be used
 */
export function createNexusClient(options: NexusClientOptions): NexusClient {
  return buildClient(createTransport(options))
}

/** What is between this program and Nexus. Exported for the tests, which take another `timing`. */
export function createTransport({ baseUrl, token, headers, fetch, timeouts }: NexusClientOptions): Transport {
  const shown = typeof token === 'string' ? assertSendable(token, 'token') : token
  return {
    baseUrl: readBaseUrl(baseUrl),
    headers: readHeaders(headers ?? {}),
    token: async () => (typeof shown === 'function' ? shown() : shown),
    fetch: fetch ?? globalThis.fetch,
    timeouts: { ...usualTimeouts, ...timeouts },
    timing: realTiming,
  }
}

function readBaseUrl(given: string | URL): URL {
  if (!URL.canParse(String(given))) throw new TypeError('baseUrl is not a URL')
  const url = new URL(given)
  if (!/^https?:$/.test(url.protocol)) throw new TypeError('baseUrl must begin with http:// or https://')
  // fetch refuses such a URL, and quotes it
  if (url.username !== '' || url.password !== '') throw new TypeError('baseUrl must not have a user or password')
  if (url.search !== '' || url.hash !== '') throw new TypeError('baseUrl must have neither ? nor #')
  if (!url.pathname.endsWith('/')) url.pathname += '/'
  return url
}

function readHeaders(given: Readonly<Record<string, string>>): Headers {
  const headers = new Headers({ 'user-agent': `nexus-sdk/${version}` })
  for (const [name, value] of Object.entries(given)) headers.set(name, assertSendable(value, name))
  return headers
}
