import { Redis } from 'ioredis'
import type { Logger } from './logger.ts'

export type RedisHandle = {
  readonly client: Redis
  /** Whether Redis answers now, within the command timeout. Never throws. */
  readonly ping: () => Promise<boolean>
  readonly close: () => Promise<void>
}

export type RedisOptions = {
  /** Milliseconds after which a command counts as failed; short, because every user of Redis can do without. */
  readonly commandTimeout?: number
}

const slowestReconnect = 5_000

/**
 * Connects to Redis in the background, or gives undefined for `memory://`. Commands fail at once while Redis is away:
 * nothing is queued, since nothing that is kept there is worth waiting for. Each outage is logged once, without the URL.
 *
 * @param url - `redis://`, `rediss://` or `memory://`
 */
export function createRedis(url: string, logger: Logger, options: RedisOptions = {}): RedisHandle | undefined {
  if (url.startsWith('memory:')) return undefined
  const client = new Redis(url, {
    enableOfflineQueue: false,
    autoResendUnfulfilledCommands: false,
    maxRetriesPerRequest: 0,
    connectTimeout: 2_000,
    commandTimeout: options.commandTimeout ?? 250,
    // a connection that swallows commands (a stopped process, a lost route) is replaced
    socketTimeout: 5_000,
    retryStrategy: (attempt) => Math.min(50 * 2 ** Math.min(attempt, 10), slowestReconnect),
  })
  const outages = logOutages(client, logger)
  return {
    client,
    ping: async () => {
      try {
        return (await client.ping()) === 'PONG'
      } catch {
        return false
      }
    },
    close: async () => {
      outages.stop()
      client.disconnect()
    },
  }
}

/** A connection that is merely closed emits no error, and a failed attempt to connect emits both. */
function logOutages(client: Redis, logger: Logger): { readonly stop: () => void } {
  let isWatching = true
  let isAway = false
  let lastError: Error | undefined
  client.on('error', (error: Error) => {
    lastError = error
  })
  client.on('close', () => {
    if (isWatching && !isAway) logger.warn({ err: lastError }, 'Redis is away; counting and caching inside the process')
    isAway = true
    lastError = undefined
  })
  client.on('ready', () => {
    if (isAway) logger.info('Redis is back')
    isAway = false
  })
  return { stop: () => void (isWatching = false) }
}
