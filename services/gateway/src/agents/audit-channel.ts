import type { RedisHandle } from '@nexus/service'

export type AuditChannel = {
  /** Hands a message to whoever listens now. Never waits, never throws. */
  readonly publish: (message: string) => void
}

export type AuditChannelOptions = {
  readonly redis: Pick<RedisHandle['client'], 'publish'>
  /** Milliseconds that never go back. */
  readonly now: () => number
  /** A message will not be heard. */
  readonly onLost: () => void
}

const channelName = 'nexus:audit:mcp'
/** Each is some 500 bytes, and lies in memory until Redis has it. */
const mostUnderWay = 500
/** A Redis that fails is left alone, so that what it does not take cannot pile up in its connection either. */
const pauseMs = 2_000

/** Nobody waits for Redis, and nothing is kept for it: the line on standard output is the record, this a copy (R5). */
export function createAuditChannel({ redis, now, onLost }: AuditChannelOptions): AuditChannel {
  let underWay = 0
  let pausedUntil = 0

  async function send(message: string): Promise<void> {
    underWay += 1
    try {
      await redis.publish(channelName, message)
    } catch {
      pausedUntil = now() + pauseMs
      onLost()
    } finally {
      underWay -= 1
    }
  }

  return {
    publish(message) {
      if (underWay >= mostUnderWay || now() < pausedUntil) onLost()
      else void send(message)
    },
  }
}
