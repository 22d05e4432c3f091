import type { Redis } from 'ioredis'

/** Every key of the selected database with its type, time to live in seconds and value, one per line. */
export async function dumpRedis(redis: Redis): Promise<string> {
  const lines: string[] = []
  let cursor = '0'
  do {
    const [next, keys] = await redis.scan(cursor, 'COUNT', 500)
    for (const key of keys) lines.push(await describeKey(redis, key))
    cursor = next
  } while (cursor !== '0')
  return lines.toSorted().join('\n')
}

async function describeKey(redis: Redis, key: string): Promise<string> {
  const type = await redis.type(key)
  const value = await readValue(redis, key, type)
  return `${key} (${type}, ttl ${await redis.ttl(key)}): ${typeof value === 'string' ? value : JSON.stringify(value)}`
}

async function readValue(redis: Redis, key: string, type: string): Promise<unknown> {
  switch (type) {
    case 'string':
      return redis.get(key)
    case 'hash':
      return redis.hgetall(key)
    case 'list':
      return redis.lrange(key, 0, -1)
    case 'set':
      return redis.smembers(key)
    case 'zset':
      return redis.zrange(key, 0, '-1', 'WITHSCORES')
    case 'stream':
      return redis.xrange(key, '-', '+')
    case 'none':
      return 'expired meanwhile'
    default:
      throw new Error(`a dump that leaves out ${key} of type ${type} would prove nothing`)
  }
}
