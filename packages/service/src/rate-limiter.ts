import { createHash } from 'node:crypto'
import { isIPv6 } from 'node:net'
import type { Redis } from 'ioredis'

export type RateLimiterOptions = {
  /** Counts over all processes; without it each process counts alone. */
  readonly redis?: Pick<Redis, 'pipeline'> | undefined
  /** How many are allowed per key and minute; 0 allows everything. */
  readonly perMinute: number
  /** Tells limits apart; part of the Redis key. */
  readonly prefix: string
  /** Milliseconds since the epoch. */
  readonly now: () => number
}

export type RateLimitOutcome =
  | { readonly allowed: true }
  | { readonly allowed: false; readonly retryAfterSeconds: number }

export type RateLimiter = {
  /** Counts one request of `key` (an address, a caller's id). Never throws. */
  readonly check: (key: string) => Promise<RateLimitOutcome>
  /** Whether one more request of `key` would be allowed. Counts nothing. Never throws. */
  readonly peek: (key: string) => Promise<RateLimitOutcome>
}

const windowMilliseconds = 60_000
const mostKeys = 20_000
/** After a failure Redis is left alone for this long, so that a slow one does not slow every request. */
const pauseMilliseconds = 2_000
/** Each process adds no more than the limit to a key, so a count beyond this many of them was not ours. */
const mostProcesses = 100

/**
 * A fixed window per minute. Each process counts what it sees itself; Redis, when it answers sensibly, adds what the
 * others saw. The higher of the two counts, so that a Redis that is away, emptied or poisoned never makes the limit
 * laxer than that of a single process, and never fails a request (duty R5).
 */
export function createRateLimiter(options: RateLimiterOptions): RateLimiter {
  const { redis, perMinute, prefix, now } = options
  const local = createWindowCounter()
  let pausedUntil = 0

  async function countTogether(key: string, window: number, ask: typeof incrementRedis): Promise<number> {
    if (redis === undefined || now() < pausedUntil) return 0
    const count = await ask(redis, `${prefix}:${window}:${hashKey(key)}`)
    if (count !== undefined && count <= perMinute * mostProcesses) return count
    pausedUntil = now() + pauseMilliseconds
    return 0
  }

  function refuse(key: string, window: number): RateLimitOutcome {
    local.raise(window, key, perMinute)
    const left = (window + 1) * windowMilliseconds - now()
    return { allowed: false, retryAfterSeconds: Math.max(1, Math.ceil(left / 1000)) }
  }

  return {
    check: async (key) => {
      if (perMinute === 0) return { allowed: true }
      const window = Math.floor(now() / windowMilliseconds)
      // who is over the limit here is over it everywhere: no need to burden Redis with a greedy client
      const own = local.increment(window, key)
      const isAllowed = own <= perMinute && (await countTogether(key, window, incrementRedis)) <= perMinute
      return isAllowed ? { allowed: true } : refuse(key, window)
    },
    peek: async (key) => {
      if (perMinute === 0) return { allowed: true }
      const window = Math.floor(now() / windowMilliseconds)
      const isAllowed =
        local.count(window, key) < perMinute && (await countTogether(key, window, readRedis)) < perMinute
      return isAllowed ? { allowed: true } : refuse(key, window)
    },
  }
}

/** What to count an address under: an IPv6 client owns at least a /64, so single addresses would limit nothing. */
export function rateLimitKey(address: string): string {
  if (!isIPv6(address)) return address
  const [head = '', tail] = address.split('::')
  const groups = head.split(':')
  const zeros = tail === undefined ? [] : Array.from({ length: 8 - groups.length }, () => '0')
  return [...groups, ...zeros]
    .slice(0, 4)
    .map((group) => group || '0')
    .join(':')
}

/** Undefined for any answer but a positive whole number: errors, timeouts, keys of another type. */
async function incrementRedis(redis: Pick<Redis, 'pipeline'>, key: string): Promise<number | undefined> {
  try {
    const replies = await redis
      .pipeline()
      .incr(key)
      .pexpire(key, 2 * windowMilliseconds)
      .exec()
    const [error, count] = replies?.[0] ?? []
    return error === null && typeof count === 'number' && Number.isSafeInteger(count) && count > 0 ? count : undefined
  } catch {
    return undefined
  }
}

/** A count that does not exist yet is 0; undefined as above. */
async function readRedis(redis: Pick<Redis, 'pipeline'>, key: string): Promise<number | undefined> {
  try {
    const replies = await redis.pipeline().get(key).exec()
    const [error, count] = replies?.[0] ?? []
    if (error !== null || (count !== null && typeof count !== 'string')) return undefined
    const seen = Number(count ?? 0)
    return Number.isSafeInteger(seen) && seen >= 0 ? seen : undefined
  } catch {
    return undefined
  }
}

/** Redis sees no address and no caller's name. */
function hashKey(key: string): string {
  return createHash('sha256').update(key).digest('base64url').slice(0, 22)
}

/** Counts of the current window only, for at most `mostKeys` keys; the one that came first makes room. */
function createWindowCounter() {
  let current = 0
  let counts = new Map<string, number>()

  function countsOf(window: number): Map<string, number> {
    if (window !== current) {
      current = window
      counts = new Map()
    }
    return counts
  }

  return {
    count: (window: number, key: string): number => countsOf(window).get(key) ?? 0,
    increment(window: number, key: string): number {
      const map = countsOf(window)
      const count = (map.get(key) ?? 0) + 1
      if (count === 1 && map.size >= mostKeys) map.delete(map.keys().next().value ?? '')
      map.set(key, count)
      return count
    },
    raise(window: number, key: string, atLeast: number): void {
      const map = countsOf(window)
      map.set(key, Math.max(map.get(key) ?? 0, atLeast))
    },
  }
}
