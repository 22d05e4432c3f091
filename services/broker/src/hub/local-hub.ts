import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { setTimeout as delay } from 'node:timers/promises'
import { type Hub, createAgentTokenBody, listAgentTokensQuery, listZonesQuery, tokenZoneBody } from '@nexus/contracts'
import { type RedisHandle, createLogger, createRedis, createUuidV7, drawAhead } from '@nexus/service'
import type { Manager } from '../agents/authority.ts'
import { createChangeSignal } from '../agents/change-signal.ts'
import { removeTokenZone, revokeToken, setTokenZone } from '../agents/change-token.ts'
import { getToken, listTokens } from '../agents/list-tokens.ts'
import { mintToken } from '../agents/mint-token.ts'
import { commandOrigin } from '../cli/command-origin.ts'
import { type Environment, readHubConfig } from '../config.ts'
import { openDatabase } from '../db/database.ts'
import { createZone } from '../zones/create-zone.ts'
import { listZones } from '../zones/list-zones.ts'
import { removeZone } from '../zones/remove-zone.ts'
import { readStatus } from './read-status.ts'

const statementTimeoutMs = 60_000
/** Nothing here needs Redis. */
const redisPatienceMs = 500
const manager: Manager = { kind: 'operator' }

/**
 * The Broker's own use cases in this process, for whoever may read its database: what the routes do, with the same audit
 * and the same signal to the Brokers that run. Disposing of it closes its connections.
 * @param env - DATABASE_URL, and REDIS_URL where there is one
 * @throws ConfigError
 */
export async function openLocalHub(env: Environment): Promise<Hub & AsyncDisposable> {
  const config = readHubConfig(env)
  await using resources = new AsyncDisposableStack()
  const logger = createLogger({ level: 'silent', service: 'hub' })
  const database = openDatabase({
    url: config.DATABASE_URL.reveal(),
    maxConnections: 4,
    statementTimeoutMs,
    applicationName: 'nexus-hub',
    keepsPrepared: false,
    onIdleError: () => undefined,
  })
  resources.defer(() => database.close())
  const redis = createRedis(config.REDIS_URL?.reveal() ?? 'memory://', logger)
  resources.defer(async () => redis?.close())
  await waitForRedis(redis)
  const nobody = { onChange: () => undefined, onLost: () => undefined }
  const signal = resources.use(createChangeSignal(redis, logger, nobody))
  const createId = createUuidV7(Date.now, drawAhead(randomBytes))
  const deps = { database, redis, signal, createId, randomBytes }
  const origin = commandOrigin()
  const change = (keyId: string) => ({ keyId, manager, origin })

  const owned = resources.move()
  return {
    createToken: (wanted) => mintToken(deps, manager, createAgentTokenBody.parse(wanted), origin),
    listTokens: (query) => listTokens(database, manager, listAgentTokensQuery.parse(query)),
    getToken: (keyId) => getToken(database, manager, keyId),
    revokeToken: (keyId) => revokeToken(deps, change(keyId)),
    setTokenZone: (keyId, zone, permissions) =>
      setTokenZone(deps, change(keyId), { zone, ...tokenZoneBody.parse({ permissions }) }),
    removeTokenZone: (keyId, zone) => removeTokenZone(deps, change(keyId), zone),
    listZones: (query) => listZones(database, manager, listZonesQuery.parse(query)),
    createZone: (name) => createZone(deps, manager, name, origin),
    removeZone: (name, { force }) => removeZone(deps, manager, { name, force, origin }),
    status: () => readStatus(deps, manager),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  }
}

/** A command is shorter than it takes to connect: without this it would find no Redis, and tell nobody of a change. */
async function waitForRedis(redis: Pick<RedisHandle, 'client'> | undefined): Promise<void> {
  if (redis === undefined || redis.client.status === 'ready') return
  const ready = once(redis.client, 'ready').catch(() => undefined)
  await Promise.race([ready, delay(redisPatienceMs, undefined, { ref: false })])
}
