import { startRedis } from '@nexus/testing'
import { test } from '@nexus/testing/vitest'
import { expect } from 'vitest'
import { bearing } from '../agents.ts'
import { type Nexus, makeKeys, startNexus } from './nexus.ts'

/** About a second on a machine that has the time, and this long on one that has not; what is remembered lives for a minute. */
const feltWithinMs = 3_000

/** Asks without a pause until it is refused. */
function useUntilRefused({ callAs }: Nexus, token: string) {
  const accepted = Promise.withResolvers<void>()
  const ask = async (): Promise<number> => {
    const giveUpAt = performance.now() + 20_000
    for (let lastAccepted = 0; performance.now() < giveUpAt;) {
      const sentAt = performance.now()
      const { status, body } = await callAs<{ code?: string }>(bearing(token), 'GET', '/v1/connections?limit=1')
      if (status === 401) {
        expect(body.code).toBe('invalid_token')
        return lastAccepted
      }
      expect(status).toBe(200)
      lastAccepted = sentAt
      accepted.resolve()
    }
    throw new Error('the token was never refused')
  }
  /** When the last request was sent that was accepted, by performance.now(): how long its answer took says nothing. */
  const lastAccepted = ask()
  return { lastAccepted, isInUse: Promise.race([accepted.promise, lastAccepted]) }
}

/** Revokes by the first Gateway what is in use at both. */
async function expectRevokedSoon(both: readonly [Nexus, Nexus]): Promise<void> {
  const [here] = both
  const admin = await here.mint({ is_admin: true })
  const { key_id, token } = await here.mint({ zones: [{ zone: 'root', permissions: 'r' }] })
  const using = both.flatMap((nexus) => [1, 2].map(() => useUntilRefused(nexus, token)))
  await Promise.all(using.map(({ isInUse }) => isInUse))

  const revoked = await here.callAs(bearing(admin.token), 'DELETE', `/v1/hub/tokens/${key_id}`)
  const answeredAt = performance.now()

  expect(revoked.status).toBe(200)
  for (const { lastAccepted } of using) expect((await lastAccepted) - answeredAt).toBeLessThan(feltWithinMs)
}

/** Of the installation that the database of this file belongs to. */
const keys = makeKeys()
const env = { REQUIRE_BEARER: 'true', LOG_LEVEL: 'error', NEXUS_RATE_LIMIT_AUTHENTICATED: '0' }

test('[R5] a token revoked at one Gateway ends at the other soon, with Redis and as it stops', async ({ database }) => {
  await using redis = await startRedis()
  const withRedis = { ...env, REDIS_URL: redis.url }
  await using here = await startNexus(database, withRedis, keys)
  await using there = await startNexus(database, withRedis, keys)

  await expectRevokedSoon([here, there])
  await redis.stop()
  await expectRevokedSoon([here, there])
})

test('[R5] and where there is no Redis', async ({ database }) => {
  await using here = await startNexus(database, env, keys)
  await using there = await startNexus(database, env, keys)

  await expectRevokedSoon([here, there])
  await expectRevokedSoon([there, here])
})
