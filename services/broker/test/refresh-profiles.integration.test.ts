import { randomBytes } from 'node:crypto'
import type { ProviderProfile } from '@nexus/contracts'
import { type TestDatabase, answers } from '@nexus/testing'
import { expect } from 'vitest'
import { setSecondsLeft, tokenRow } from './database-tools.ts'
import { auditOf, connectionOf } from './handshake-scene.ts'
import { readToken, startTestBroker } from './harness.ts'
import {
  letLoopPass,
  makeAbandoned,
  makeDue,
  openConnections,
  startLoopingBroker,
  test,
  waitForVersion,
} from './refresh-scene.ts'

type Pool = TestDatabase['pool']

test('while it may have been spent, a token whose provider revokes on reuse is left alone until its last minute', async ({
  quiet,
  database,
}) => {
  const { pool } = database
  const { provider, ids } = await openConnections(quiet, 1, {}, { refresh_reuse: 'revokes' })
  const [id = ''] = ids
  const { access_token: first } = (await readToken(quiet, id)).body
  provider.next('token', answers.cutConnection())
  expect(await quiet.post(`/connections/${id}/refresh`)).toMatchObject({ status: 502 })
  const { next_attempt_at, expires_at } = await tokenRow(pool, id)
  expect(Math.abs(Number(expires_at) - Number(next_attempt_at) - 60_000)).toBeLessThan(5_000)

  await makeDueNow(pool, id)
  await using _looping = await startLoopingBroker(database)
  await letLoopPass(quiet, pool)
  expect((await readToken(quiet, id)).body.access_token, 'it lives').toBe(first)
  const refused = await quiet.post(`/connections/${id}/refresh`)
  expect(refused).toMatchObject({ status: 502, body: { code: 'provider_unavailable' } })
  expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(3_000)
  expect(provider.counts().refreshRequests).toBe(1)

  await setSecondsLeft(pool, id, 59)
  await pool.query('update tokens set next_attempt_at = now() where connection_id = $1', [id])
  await waitForVersion(pool, id, 2)
  expect(provider.counts()).toMatchObject({ refreshRequests: 2, supersededPresentations: 0 })
  expect(await readOutcomeUnknown(pool, id)).toBe(false)
})

/** Unlike makeDue, it leaves alone when the next attempt may be. */
async function makeDueNow(pool: Pool, id: string): Promise<void> {
  await pool.query(`update tokens set refresh_at = now() - interval '1 s' where connection_id = $1`, [id])
}

async function readOutcomeUnknown(pool: Pool, id: string): Promise<boolean | undefined> {
  const { rows } = await pool.query<{ unknown: boolean }>(
    'select outcome_unknown as unknown from tokens where connection_id = $1',
    [id],
  )
  return rows[0]?.unknown
}

test('what a dead Broker presented there is spared too, and whoever forces a refresh hears so at once', async ({
  quiet,
  database,
}) => {
  const { pool } = database
  const { provider, ids } = await openConnections(quiet, 1, {}, { refresh_reuse: 'revokes' })
  const [id = ''] = ids
  await makeAbandoned(pool, ids)
  await makeDueNow(pool, id)
  await using _looping = await startLoopingBroker(database)
  const refused = await quiet.post(`/connections/${id}/refresh`)
  expect(refused).toMatchObject({ status: 502, body: { code: 'provider_unavailable' } })
  expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(3_000)
  await letLoopPass(quiet, pool)
  expect(provider.counts().refreshRequests).toBe(0)
  expect((await readToken(quiet, id)).status, 'it lives').toBe(200)

  await setSecondsLeft(pool, id, 59)
  await waitForVersion(pool, id, 2)
  expect(provider.counts().refreshRequests).toBe(1)
})

test('after a restore, tokens from before are not presented where refresh tokens rotate, and are elsewhere', async ({
  quiet,
  database,
}) => {
  const { pool } = database
  const rotating = await openConnections(quiet, 3)
  const constant = await openConnections(quiet, 1, { refreshTokens: 'constant' })
  // each provider is seen to rotate, or not, by a refresh of before
  for (const id of [rotating.ids[2], constant.ids[0]]) await quiet.post(`/connections/${id}/refresh`)
  await pool.query(`update tokens set issued_at = now() - interval '1 hour' where connection_id = any ($1)`, [
    [...rotating.ids.slice(0, 2), ...constant.ids],
  ])
  const restoredAt = new Date(Date.now() - 60_000).toISOString()
  await makeDue(pool, [...rotating.ids, ...constant.ids])
  await using looping = await startLoopingBroker(database, { RESTORED_AT: restoredAt })
  const [before = '', alsoBefore = '', after = ''] = rotating.ids
  await waitForVersion(pool, constant.ids[0] ?? '', 3)
  await waitForVersion(pool, after, 3)
  for (const id of [before, alsoBefore]) {
    await expect.poll(async () => (await connectionOf(quiet, id)).status).toBe('attention_required')
    expect(await connectionOf(quiet, id)).toMatchObject({ status_reason: 'restored' })
    expect(await readToken(looping, id)).toMatchObject({
      status: 409,
      body: { code: 'attention_required', details: { reason: 'restored' } },
    })
    expect(await auditOf(quiet, id)).toContain('token_refresh_fatal restored')
  }
  expect(rotating.provider.counts()).toMatchObject({ refreshRequests: 2, supersededPresentations: 0 })
})

test('a refused client raises one alarm with one notice, and the next success takes it back with another', async ({
  quiet,
  database,
}) => {
  const { pool } = database
  const { provider, ids } = await openConnections(quiet, 6)
  const env = {
    REFRESH_ENABLED: 'false',
    WEBHOOK_URL: 'http://127.0.0.1:1/nobody-listens',
    WEBHOOK_SECRET: `whsec_${randomBytes(32).toString('base64')}`,
  }
  await using noticing = await startTestBroker(database, { env })
  const gates = ids.slice(0, 4).map(() => answers.createGate('before', answers.oauthError('invalid_client')))
  provider.next('token', ...gates.map(({ step }) => step))
  // all are refused, and each would raise the alarm
  const refusals = ids.slice(0, 4).map((id) => noticing.post(`/connections/${id}/refresh`))
  await Promise.all(gates.map(({ arrived }) => arrived))
  for (const { open } of gates) open()
  for (const refusal of await Promise.all(refusals)) {
    expect(refusal).toMatchObject({ status: 502, body: { code: 'provider_rejected' } })
  }
  const profile = async () => (await quiet.get<ProviderProfile>(`/providers/${provider.providerId}`)).body
  expect((await profile()).alarm).toMatchObject({ reason: 'invalid_client' })
  const raised = { type: 'provider.alarm', data: { provider: provider.name, reason: 'invalid_client' } }
  expect(await readNotices(pool, provider.providerId)).toMatchObject([raised])

  // a Broker that has not met the refusal yet
  await using other = await startTestBroker(database, { env })
  for (const id of ids.slice(4)) expect((await other.post(`/connections/${id}/refresh`)).status).toBe(200)
  expect((await profile()).alarm).toBeNull()
  const recovered = { type: 'provider.recovered', data: { provider: provider.name, reason: null } }
  expect(await readNotices(pool, provider.providerId)).toMatchObject([raised, recovered])
})

async function readNotices(pool: Pool, providerId: string): Promise<readonly unknown[]> {
  const { rows } = await pool.query(
    `select type, data from notices where data->>'provider_id' = $1 order by created_at`,
    [providerId],
  )
  return rows
}
