import { startRedis } from '@nexus/testing'
import { expect } from 'vitest'
import { openLocalHub } from '../src/hub/local-hub.ts'
import { findToken } from './agents-scene.ts'
import { auditEvents } from './audit-events.ts'
import { test } from './handshake-scene.ts'

test('[A3] the hub in the container does what the routes do, and the audit says who ran it', async ({
  broker,
  database,
}) => {
  await using hub = await openLocalHub({ DATABASE_URL: database.url })
  const made = await hub.createToken({ name: 'by-shell', zones: [{ zone: 'root', permissions: 'rw' }] })
  expect(await findToken(broker, made.token)).toMatchObject({ key_id: made.key_id, name: 'by-shell' })
  await expect(
    hub.createToken({ name: 'by-shell', zones: [{ zone: 'root', permissions: 'r' }] }),
  ).rejects.toMatchObject({
    code: 'token_name_taken',
  })
  await hub.revokeToken(made.key_id)
  const [revoked] = await auditEvents(broker, 'agent_token.revoked')
  expect(revoked).toMatchObject({ actor_kind: 'operator', data: { key_id: made.key_id } })
  expect(revoked?.actor_id).toMatch(/^cli:./)
  expect(await hub.status()).toMatchObject({ postgres: 'ok', redis: 'n/a' })
})

test('[R5] it waits for Redis no longer than a moment, and says that it is well where it is', async ({ database }) => {
  await using redis = await startRedis()
  const env = { DATABASE_URL: database.url, REDIS_URL: redis.url }
  {
    await using hub = await openLocalHub(env)
    expect(await hub.status()).toMatchObject({ postgres: 'ok', redis: 'ok' })
  }
  await redis.stop()
  await using hub = await openLocalHub(env)
  expect(await hub.status()).toMatchObject({ postgres: 'ok', redis: 'n/a' })
})
