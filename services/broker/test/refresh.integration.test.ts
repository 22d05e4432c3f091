import { type Scripted, auditOf, connectionOf, eventsOf, test } from './handshake-scene.ts'
import { answers } from '@nexus/testing'
import { expect } from 'vitest'
import { openConnection, openPlainConnection } from './connection-scene.ts'
import { setSecondsLeft, tokenRow } from './database-tools.ts'
import { readToken } from './harness.ts'

/** Access tokens in the order in which the provider issued them. */
function accessTokens(provider: Pick<Scripted, 'secrets'>): readonly string[] {
  return provider.secrets().filter((secret) => secret.startsWith('access-'))
}

test('a token in its last minute is refreshed before it is served', async ({ broker, database }) => {
  const { provider, id } = await openPlainConnection(broker)
  await setSecondsLeft(database.pool, id, 61)
  expect((await readToken(broker, id)).body.access_token).toBe(accessTokens(provider)[0])
  expect(provider.counts().refreshRequests).toBe(0)

  await setSecondsLeft(database.pool, id, 59)
  const { status, body } = await readToken(broker, id)
  expect(status).toBe(200)
  expect(body.access_token).toBe(accessTokens(provider)[1])
  expect(body.expires_in).toBeGreaterThan(3590)
  expect((await connectionOf(broker, id)).last_refresh_at).not.toBeNull()
  expect(await auditOf(broker, id)).toContain('token_refreshed success')
})

test('a token that lives half a minute is refreshed in the last quarter of its life', async ({ broker, database }) => {
  const { provider, id } = await openPlainConnection(broker, { lifetimeSeconds: 30 })
  expect((await tokenRow(database.pool, id)).refresh_at, 'reads alone refresh it').toBeNull()
  await setSecondsLeft(database.pool, id, 9, 30)
  await readToken(broker, id)
  expect(provider.counts().refreshRequests).toBe(0)
  await setSecondsLeft(database.pool, id, 7, 30)
  expect((await readToken(broker, id)).body.access_token).toBe(accessTokens(provider)[1])
})

test('an hour-long token is due ahead of its expiry, by the lead and its jitter', async ({ broker, database }) => {
  const { id } = await openPlainConnection(broker)
  const { expires_at, refresh_at } = await tokenRow(database.pool, id)
  const lead = (Number(expires_at) - Number(refresh_at)) / 1000
  expect(lead).toBeGreaterThanOrEqual(360)
  expect(lead).toBeLessThanOrEqual(396)
})

test('thirty readers of an expiring token cause one refresh, and all get its token', async ({ broker, database }) => {
  const { provider, id } = await openPlainConnection(broker)
  const other = await openPlainConnection(broker)
  await setSecondsLeft(database.pool, id, -5)
  const gate = answers.createGate('before')
  provider.next('token', gate.step)
  const reading = Array.from({ length: 30 }, () => readToken(broker, id))
  await gate.arrived
  // whoever reads after them is answered after they were looked at: all thirty wait for the refresh now
  for (let n = 0; n < 3; n++) await Promise.all(Array.from({ length: 30 }, () => readToken(broker, other.id)))
  expect(provider.counts().refreshRequests, 'while it is under way').toBe(1)
  gate.open()
  const tokens = (await Promise.all(reading)).map(({ body }) => body.access_token)
  expect(new Set(tokens)).toEqual(new Set([accessTokens(provider)[1]]))
  expect(provider.counts()).toMatchObject({ refreshRequests: 1, supersededPresentations: 0 })
  const events = await auditOf(broker, id)
  expect(events.filter((event) => event === 'token_refreshed success')).toHaveLength(1)
  expect(events.filter((event) => event === 'token_retrieved success')).toHaveLength(30)
})

test('POST refresh refreshes now; within ten seconds the stored token is the answer', async ({ broker, database }) => {
  const { provider, id } = await openPlainConnection(broker)
  const first = await broker.post<{ access_token: string }>(`/connections/${id}/refresh`)
  expect(first).toMatchObject({ status: 200, body: { access_token: accessTokens(provider)[1] } })
  const again = await broker.post<{ access_token: string }>(`/connections/${id}/refresh`)
  expect(again.body.access_token).toBe(first.body.access_token)
  expect(provider.counts().refreshRequests).toBe(1)

  await database.pool.query(
    `update tokens set last_refresh_at = now() - interval '11 seconds' where connection_id = $1`,
    [id],
  )
  await broker.post(`/connections/${id}/refresh`)
  expect(provider.counts().refreshRequests).toBe(2)
})

test('a rotated refresh token replaces the old one, an omitted one keeps it', async ({ broker, database }) => {
  for (const refreshTokens of ['rotate', 'constant', 'omit-on-refresh'] as const) {
    const { provider, id } = await openPlainConnection(broker, { refreshTokens })
    for (let round = 1; round <= 3; round++) {
      await setSecondsLeft(database.pool, id, -1)
      expect((await readToken(broker, id)).status, `${refreshTokens}, round ${round}`).toBe(200)
    }
    expect(provider.counts()).toMatchObject({ refreshRequests: 3, supersededPresentations: 0 })
    expect(provider.violations).toEqual([])
    expect((await tokenRow(database.pool, id)).version).toBe(4)
  }
})

test('narrower scopes are stored as they were granted', async ({ broker, database }) => {
  const { provider, id } = await openPlainConnection(broker, {}, { scopes: ['read', 'write'] })
  expect((await connectionOf(broker, id)).granted_scopes).toEqual(['read', 'write'])
  provider.behave({ token: { scope: 'read' } })
  await setSecondsLeft(database.pool, id, -1)
  expect((await readToken(broker, id)).body.scope).toBe('read')
  expect(await connectionOf(broker, id)).toMatchObject({ scopes: ['read', 'write'], granted_scopes: ['read'] })
})

test('what a refresh does not repeat stays: scope and kept fields', async ({ broker, database }) => {
  const { provider, id } = await openPlainConnection(
    broker,
    { extra: { instance_url: 'https://na1.example.com' } },
    { keep_token_fields: ['instance_url'] },
  )
  provider.behave({ token: { extra: { scope: undefined } } })
  await setSecondsLeft(database.pool, id, -1)
  expect((await readToken(broker, id)).body).toMatchObject({
    access_token: accessTokens(provider)[1],
    scope: 'read',
    extra: { instance_url: 'https://na1.example.com' },
  })
})

test('an expired token without a refresh token needs its user, once', async ({ broker, database }) => {
  const { provider, id } = await openPlainConnection(broker, { refreshTokens: 'none' })
  const early = await broker.post(`/connections/${id}/refresh`)
  expect(early).toMatchObject({ status: 409, body: { details: { reason: 'no_refresh_token' } } })
  expect((await connectionOf(broker, id)).status, 'a living token is not given up').toBe('active')
  await setSecondsLeft(database.pool, id, 5)
  expect((await readToken(broker, id)).status).toBe(200)

  await setSecondsLeft(database.pool, id, -1)
  const reads = await Promise.all(Array.from({ length: 5 }, () => readToken(broker, id)))
  for (const read of reads) {
    expect(read).toMatchObject({
      status: 409,
      body: { code: 'attention_required', details: { reason: 'no_refresh_token' } },
    })
  }
  expect(await connectionOf(broker, id)).toMatchObject({
    status: 'attention_required',
    status_reason: 'no_refresh_token',
  })
  const fatal = (await eventsOf(broker, id)).filter(({ event }) => event === 'token_refresh_fatal')
  expect(fatal).toMatchObject([{ outcome: 'no_refresh_token', actor_kind: 'system' }])
  expect(provider.counts().refreshRequests).toBe(0)
})

test('a refresh that names another account is refused, and its tokens are kept nowhere', async ({
  broker,
  database,
}) => {
  const { provider, id } = await openConnection(broker)
  provider.behave({ idToken: { claims: { sub: 'mallory' } } })
  await setSecondsLeft(database.pool, id, -1)
  expect(await readToken(broker, id)).toMatchObject({ status: 409, body: { code: 'attention_required' } })
  expect(await connectionOf(broker, id)).toMatchObject({
    status: 'attention_required',
    status_reason: 'account_mismatch',
    account: { subject: 'ada' },
  })
  expect((await tokenRow(database.pool, id)).version).toBe(1)
})

test('a refreshed token without a lifetime takes the default of its profile', async ({ broker, database }) => {
  const { provider, id } = await openPlainConnection(broker, {}, { default_expires_in: 600 })
  provider.behave({ token: { lifetimeSeconds: null } })
  await setSecondsLeft(database.pool, id, -1)
  const { expires_in } = (await readToken(broker, id)).body
  expect(expires_in).toBeGreaterThan(590)
  expect(expires_in).toBeLessThanOrEqual(600)
})
