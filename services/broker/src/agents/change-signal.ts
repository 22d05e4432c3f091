import type { Logger, RedisHandle } from '@nexus/service'

/** Tells that agents changed, by Redis where there is one. It only makes sooner what every Broker's poll finds anyway. */
export type ChangeSignal = AsyncDisposable & {
  /** Whoever listens looks at the database; nothing is said here that could be believed. */
  readonly send: () => void
}

export type ChangeListener = {
  /** Something changed, as somebody says. */
  readonly onChange: () => void
  /** What was said since may have been missed. */
  readonly onLost: () => void
}

const channel = 'nexus:agents:changed'

/** @param redis - undefined: the polls do alone */
export function createChangeSignal(
  redis: Pick<RedisHandle, 'client'> | undefined,
  logger: Logger,
  listener: ChangeListener,
): ChangeSignal {
  if (redis === undefined) return { send: () => undefined, [Symbol.asyncDispose]: async () => undefined }
  const subscriber = redis.client.duplicate({ autoResubscribe: false })
  // its outages are the client's, which tells of them
  subscriber.on('error', () => undefined)
  subscriber.on('close', listener.onLost)
  subscriber.on('message', listener.onChange)
  subscriber.on('ready', () => {
    // what was said before anybody listened was not heard
    subscriber.subscribe(channel).then(listener.onChange, (error: unknown) => {
      logger.debug({ err: error }, 'changes of agents are not heard of by Redis')
    })
  })
  return {
    send() {
      redis.client.publish(channel, '').catch(() => undefined)
    },
    async [Symbol.asyncDispose]() {
      subscriber.disconnect()
    },
  }
}
