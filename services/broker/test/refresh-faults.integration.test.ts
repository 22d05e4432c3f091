import { answers } from '@nexus/testing'
import { expect } from 'vitest'
import { systemOrigin } from '../src/audit/audit-event.ts'
import { openPlainConnection } from './connection-scene.ts'
import { eventually, expectNoTransaction, tokenRow } from './database-tools.ts'
import { readToken, startTestBroker } from './harness.ts'
import { auditOf, connectionOf } from './handshake-scene.ts'
import {
  makeDue,
  newestAccessToken,
  passLeases,
  policies,
  refreshNow,
  test,
  timeout,
  untilSettled,
} from './refresh-crash-scene.ts'
import { openRefresher } from './refresher-scene.ts'

const atLeisure = 20_000
const cannot = { code: 'provider_unavailable' }

test('[R2] a fault of ours while a token is presented: nobody presents it again before its time', async ({
  broker,
  database,
}) => {
  for (const faultIn of ['refresh', 'findEndpoints'] as const) {
    const { id } = await openPlainConnection(broker, policies.constant)
    let asked = 0
    const fail = async (): Promise<never> => {
      asked += 1
      throw new TypeError('what nobody thought of')
    }
    const none = async () => ({}) as never
    await using refresher = await openRefresher(database, {
      providerClient: { refresh: none, findEndpoints: none, [faultIn]: fail },
    })
    // the second finds what the first came to
    for (const _ of [1, 2]) {
      await expect(refresher.refreshConnection(id, systemOrigin, atLeisure)).rejects.toMatchObject(cannot)
    }
    expect(asked, faultIn).toBe(1)
    const row = await tokenRow(database.pool, id)
    expect(row).toMatchObject({ failure_count: 1, sent_epoch: null, lease_until: null })
    expect(row).toMatchObject({ outcome_unknown: faultIn === 'refresh' })
    expect(Number(row.next_attempt_at)).toBeGreaterThan(Date.now())
    expect(await auditOf(broker, id)).toContain('token_refresh_failed internal')
    expect(refresher.logs.lines().map(({ msg }) => msg)).toContain('a refresh failed for no reason that is known')
  }
})

test('[R2] an answer that cannot be stored though the database is there is given up after a minute, with a backoff', async ({
  broker,
  database,
}) => {
  const { id, provider } = await openPlainConnection(broker, policies.constant)
  await database.pool.query(`alter table tokens add constraint broken check (connection_id <> '${id}' or version = 1)`)
  let later = 0
  await using refresher = await openRefresher(database, { monotonicMs: () => performance.now() + later })
  const asking = refresher.refreshConnection(id, systemOrigin, atLeisure).catch((error: unknown) => error)
  await refresher.logs.waitFor(({ msg }) => msg === 'the outcome of a refresh waits to be stored')
  expect(refresher.held()).toBe(1)
  expect(await asking, 'who waits is told').toMatchObject({ code: 'unavailable' })
  expect(await tokenRow(database.pool, id), 'it is held on to').toMatchObject({ version: 1, sent_epoch: '1' })

  later = 61_000
  await refresher.logs.waitFor(({ msg }) => msg === 'the outcome of a refresh cannot be stored and is given up')
  await eventually('a failure is recorded', async () => (refresher.held() === 0 ? true : undefined))
  const row = await tokenRow(database.pool, id)
  expect(row).toMatchObject({ failure_count: 1, sent_epoch: null, outcome_unknown: true })
  expect(Number(row.next_attempt_at)).toBeGreaterThan(Date.now())
  expect(provider.counts().refreshRequests).toBe(1)
  await database.pool.query('alter table tokens drop constraint broken')
})

test('[R2] a token that may be spent is asked about as soon as its backoff is over, not when it is due', async ({
  broker,
  database,
}) => {
  const connected = await openPlainConnection(broker, policies.grace)
  const { id, provider } = connected
  provider.next('token', answers.loseAnswer())
  expect(await refreshNow(broker, id)).toMatchObject({ status: 502 })
  expect(await tokenRow(database.pool, id)).toMatchObject({ version: 1, outcome_unknown: true })
  await database.pool.query('update tokens set next_attempt_at = now() where connection_id = $1', [id])
  await using healer = await startTestBroker(database)
  await untilSettled(healer, database.pool, id)
  expect((await readToken(healer, id)).body.access_token).toBe(newestAccessToken(connected))
  expect(await tokenRow(database.pool, id)).toMatchObject({ version: 2, outcome_unknown: false })
  expect(provider.counts()).toMatchObject({ refreshRequests: 2, supersededPresentations: 1, reuseDetections: 0 })
})

test('[R2] a spent token that the profile has a word of its own for is called lost too', async ({
  broker,
  database,
}) => {
  const { id, provider } = await openPlainConnection(broker, policies.strict, {
    fatal_refresh_errors: ['bad_refresh_token'],
  })
  provider.next('token', answers.loseAnswer(), answers.oauthError('bad_refresh_token', { status: 200 }))
  expect(await refreshNow(broker, id)).toMatchObject({ status: 502 })
  await database.pool.query('update tokens set next_attempt_at = now() where connection_id = $1', [id])
  expect(await refreshNow(broker, id)).toMatchObject({ status: 409, body: { details: { reason: 'outcome_lost' } } })
})

test('[R3] a token that is old by the time it is stored is no fresh one: it is refreshed, not waited for', async ({
  broker,
  database,
}) => {
  const connected = await openPlainConnection(broker, policies.strict)
  const { id } = connected
  await database.pool.query(
    `update tokens set last_refresh_at = now(), issued_at = now() - interval '1 h', expires_at = now() - interval '1 s',
            refresh_at = now() - interval '6 min' where connection_id = $1`,
    [id],
  )
  const { status, body } = await readToken(broker, id)
  expect(status).toBe(200)
  expect(body.access_token).toBe(newestAccessToken(connected))
})

test('[P6] an answer for a connection that was disconnected meanwhile is owed a revocation, sealed', async ({
  broker,
  database,
}) => {
  const { id, provider } = await openPlainConnection(broker, policies.strict)
  const gate = answers.createGate('after')
  provider.next('token', gate.step)
  // whoever revokes it must not be quicker than this test looks
  provider.always('revocation', answers.serverError())
  const asking = refreshNow(broker, id)
  await gate.arrived
  await database.pool.query(`update connections set status = 'revoked' where id = $1`, [id])
  await database.pool.query('delete from tokens where connection_id = $1', [id])
  gate.open()
  expect(await asking).toMatchObject({ status: 409, body: { code: 'connection_not_active' } })

  const { rows } = await database.pool.query<{ tokens: Buffer; key_id: Buffer }>(
    'select tokens, key_id from revocations where connection_id = $1',
    [id],
  )
  expect(rows).toHaveLength(1)
  expect(rows[0]?.tokens.subarray(1, 5), 'an envelope, which names its key').toEqual(rows[0]?.key_id)
  for (const secret of provider.secrets()) expect(rows[0]?.tokens.toString('latin1')).not.toContain(secret)
  expect(await auditOf(broker, id)).toContain('revocation.queued success')
})

test('[P6] an answer for a connection that has a newer token is dropped, and never revoked', async ({
  broker,
  database,
}) => {
  const connected = await openPlainConnection(broker, policies.grace)
  const { id, provider } = connected
  await using other = await startTestBroker(database, { env: { REFRESH_ENABLED: 'false' } })
  const gate = answers.createGate('after')
  provider.next('token', gate.step)
  const late = refreshNow(broker, id)
  await gate.arrived
  await passLeases(database.pool, [id])
  expect(await refreshNow(other, id)).toMatchObject({ status: 200 })
  const newest = newestAccessToken(connected)
  gate.open()
  expect((await late)?.body).toMatchObject({ access_token: newest })
  const { rowCount } = await database.pool.query('select from revocations where connection_id = $1', [id])
  expect(rowCount).toBe(0)
  expect(provider.requestsTo('revocation')).toEqual([])
  expect(await auditOf(broker, id)).not.toContain('revocation.queued success')
})

test('[R8] no transaction is open while the loop asks a provider', { timeout }, async ({ broker, database }) => {
  const all = [await openPlainConnection(broker), await openPlainConnection(broker)]
  const gates = all.map(({ provider }) => {
    const gate = answers.createGate()
    provider.next('token', gate.step)
    return gate
  })
  await makeDue(
    database.pool,
    all.map(({ id }) => id),
  )
  await using _looping = await startTestBroker(database)
  await Promise.all(gates.map(({ arrived }) => arrived))
  await expectNoTransaction(database.pool, 'requests of the loop')
  for (const gate of gates) gate.open()
  for (const { id } of all) {
    await untilSettled(broker, database.pool, id)
    expect(await connectionOf(broker, id)).toMatchObject({ status: 'active' })
  }
})
