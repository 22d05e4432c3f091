import { setTimeout as delay } from 'node:timers/promises'
import { startRedis } from '@nexus/testing'
import { test } from '@nexus/testing/vitest'
import { expect } from 'vitest'
import { bearing } from '../agents.ts'
import { type Nexus, makeKeys, startNexus } from './nexus.ts'

/** Asks without a pause until it is refused. @returns when the last request was accepted that was, by performance.now() */
async function useUntilRefused({ callAs }: Nexus, token: string): Promise<number> {
  const giveUpAt = performance.now() + 15_000
  for (let lastAccepted = 0; performance.now() < giveUpAt;) {
    const { status, body } = await callAs<{ code?: string }>(bearing(token), 'GET', '/v1/connections?limit=1')
    if (status === 401) {
      expect(body.code).toBe('invalid_token')
      return lastAccepted
    }
    expect(status).toBe(200)
    lastAccepted = performance.now()
  }
  throw new Error('the token was never refused')
}

/** Revokes by the first Gateway what is in use at both. */
async function expectRevokedSoon(both: readonly [Nexus, Nexus]): Promise<void> {
  const [here] = both
  const admin = await here.mint({ is_admin: true })
  const { key_id, token } = await here.mint({ zones: [{ zone: 'root', permissions: 'r' }] })
  const using = both.flatMap((nexus) => [1, 2].map(() => useUntilRefused(nexus, token)))
  // long enough that every Broker and Gateway remembers the token
  await delay(500)

  const revoked = await here.callAs(bearing(admin.token), 'DELETE', `/v1/hub/tokens/${key_id}`)
  const answeredAt = performance.now()

  expect(revoked.status).toBe(200)
  for (const lastAccepted of await Promise.all(using)) {
    expect(lastAccepted, 'it was in use').toBeGreaterThan(0)
    expect(lastAccepted - answeredAt).toBeLessThan(1_500)
  }
}

/** Of the installation that the database of this file belongs to. */
const keys = makeKeys()
const env = { REQUIRE_BEARER: 'true', LOG_LEVEL: 'error', NEXUS_RATE_LIMIT_AUTHENTICATED: '0' }

test('[R5] a token revoked at one Gateway ends at the other within a second and a half, with Redis and as it stops', async ({
  database,
}) => {
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
