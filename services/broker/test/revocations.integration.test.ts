import { type Step, answers, createTestDatabase } from '@nexus/testing'
import { expect, inject, onTestFinished, vi } from 'vitest'
import { connect, openPlainConnection } from './connection-scene.ts'
import { eventually, whileLocked } from './database-tools.ts'
import {
  answersDisconnected,
  disconnect,
  issuedTokens,
  makeDue,
  revocationsOf,
  revokedAt,
  waitUntilSettled,
} from './disconnect-scene.ts'
import { type Scripted, auditOf, eventsOf, openProvider, test } from './handshake-scene.ts'
import { type Client, makeKeys, startTestBroker } from './harness.ts'
import { changeProfile } from './provider-profiles.ts'

const { done, queued, unsupported } = answersDisconnected

/** An account that was disconnected while its provider was away, and that nobody attempts before the test says so. */
async function openOwing(broker: Client, answer: Step = answers.serverError(503, 3_000)) {
  const connected = await openPlainConnection(broker)
  connected.provider.next('revocation', answer)
  expect((await disconnect(broker, connected.id)).body).toEqual(queued)
  return connected
}

test('[P6] Retry-After is kept, and without one the pauses grow', async ({ broker, database: { pool } }) => {
  const asking = await openOwing(broker, answers.serverError(503, 120))
  const [row] = await revocationsOf(pool, asking.id)
  expect(row).toMatchObject({ attempts: 1 })
  expect(row?.seconds_ahead).toBeGreaterThan(110)
  expect(row?.seconds_ahead).toBeLessThanOrEqual(120)

  const { provider, id } = await openOwing(broker, answers.serverError())
  const first = (await revocationsOf(pool, id))[0]?.seconds_ahead ?? 0
  expect(first).toBeGreaterThan(1)
  expect(first).toBeLessThanOrEqual(5)
  await pool.query('update revocations set attempts = 6, next_attempt_at = now() where connection_id = $1', [id])
  provider.next('revocation', answers.serverError())
  await eventually('it was attempted', async () => {
    const [next] = await revocationsOf(pool, id)
    return next?.attempts === 7 && next.seconds_ahead > 70 ? true : undefined
  })
})

test('[P6] after a day it is given up and forgotten, and the audit says so', async ({ broker, database: { pool } }) => {
  const { provider, id } = await openOwing(broker)
  provider.always('revocation', answers.serverError())
  const age = (interval: string) =>
    pool.query(
      `update revocations set created_at = now() - $2::interval, attempts = 20, next_attempt_at = now() where connection_id = $1`,
      [id, interval],
    )
  await age('23 hours 58 minutes')
  await eventually('it was put off to the end of its day', async () => {
    const [row] = await revocationsOf(pool, id)
    return row?.attempts === 21 && row.seconds_ahead > 100 && row.seconds_ahead <= 120 ? true : undefined
  })
  await age('24 hours')
  await waitUntilSettled(pool, id)
  expect((await eventsOf(broker, id)).at(-1)).toMatchObject({
    event: 'revocation.abandoned',
    outcome: 'http_503',
    actor_kind: 'system',
    data: { attempts: 21 },
  })
  expect((await disconnect(broker, id)).body).toEqual(unsupported)
  expect((await broker.get('/metrics')).text).toMatch(/nexus_revocations_total\{[^}]*outcome="abandoned"[^}]*\} 1\n/)
})

test('[P6] a provider that answers on the last attempt of the day is believed', async ({ broker, database }) => {
  const { id } = await openOwing(broker)
  await database.pool.query(
    `update revocations set created_at = now() - interval '2 days', next_attempt_at = now() where connection_id = $1`,
    [id],
  )
  await waitUntilSettled(database.pool, id)
  expect((await disconnect(broker, id)).body).toEqual(done)
})

test('[P6] what is refused in the background is given up at once', async ({ broker, database: { pool } }) => {
  const { provider, id } = await openOwing(broker)
  provider.next('revocation', answers.oauthError('invalid_token', { description: 'canary' }))
  await makeDue(pool, id)
  await waitUntilSettled(pool, id)
  expect(revokedAt(provider).slice(1)).toEqual(issuedTokens(provider).both)
  expect((await eventsOf(broker, id)).at(-1)).toMatchObject({
    event: 'revocation.refused',
    outcome: 'invalid_token',
    data: { refresh_token: 'invalid_token', access_token: 'success' },
  })
})

test('[P6] a refresh token that is revoked is not presented again while the access token waits', async ({
  broker,
  database: { pool },
}) => {
  const { provider, id } = await openPlainConnection(broker)
  provider.next('revocation', ({ honest }) => honest(), answers.serverError(503, 3_000))
  expect((await disconnect(broker, id)).body).toEqual(queued)
  expect(await revocationsOf(pool, id)).toMatchObject([{ refresh_token_outcome: { kind: 'done' } }])
  await makeDue(pool, id)
  await waitUntilSettled(pool, id)
  const { refresh, access } = issuedTokens(provider)
  expect(revokedAt(provider)).toEqual([refresh, access, access])
  expect((await eventsOf(broker, id)).at(-1)).toMatchObject({
    event: 'revocation.done',
    data: { refresh_token: 'success', access_token: 'success' },
  })
})

test('[P6] a provider that refuses our client is told once its profile is mended', async ({ broker, database }) => {
  const { provider, id } = await openPlainConnection(broker)
  const mend = (secret: string) => changeProfile(broker, 'PATCH', provider.providerId, { client_secret: secret })
  await mend('a secret that the provider does not know')
  expect((await disconnect(broker, id)).body).toEqual(queued)
  await mend('the-client-secret-of-the-tests')
  await makeDue(database.pool, id)
  await waitUntilSettled(database.pool, id)
  expect((await disconnect(broker, id)).body).toEqual(done)
})

test('[P6] a removed profile still revokes', async ({ broker, database: { pool } }) => {
  const { provider, id } = await openOwing(broker)
  const other = await connect(broker, provider)
  expect((await broker.send('DELETE', `/providers/${provider.providerId}`)).status).toBe(204)
  await makeDue(pool, id)
  await waitUntilSettled(pool, id)
  expect((await disconnect(broker, id)).body).toEqual(done)
  expect((await disconnect(broker, other)).body).toEqual(done)
})

test('[V1] what is owed and does not open is given up, and the others are untouched', async ({
  broker,
  database: { pool },
}) => {
  const [damaged, whole] = [await openOwing(broker), await openOwing(broker)]
  await pool.query(
    `update revocations set tokens = (select tokens from revocations where connection_id = $2) where connection_id = $1`,
    [damaged.id, whole.id],
  )
  for (const { id } of [damaged, whole]) await makeDue(pool, id)
  for (const { id } of [damaged, whole]) await waitUntilSettled(pool, id)
  expect(await auditOf(broker, damaged.id)).toContain('revocation.abandoned vault_integrity')
  expect(damaged.provider.requestsTo('revocation'), 'another account’s token is not presented there').toHaveLength(1)
  expect(await auditOf(broker, whole.id)).toContain('revocation.done success')
})

test('what is owed and needs a key that is not there waits for it', async ({ broker, database: { pool } }) => {
  const { provider, id } = await openOwing(broker)
  const { rows } = await pool.query<{ tokens: Buffer; key_id: Buffer }>(
    'select tokens, key_id from revocations where connection_id = $1',
    [id],
  )
  await pool.query(
    `update revocations set tokens = substring(tokens for 1) || '\\xdeadbeef'::bytea || substring(tokens from 6),
            key_id = '\\xdeadbeef', next_attempt_at = now() where connection_id = $1`,
    [id],
  )
  await eventually('it was put off', async () => {
    const [row] = await revocationsOf(pool, id)
    return row?.attempts === 2 && row.seconds_ahead < 20 && row.seconds_ahead > 0 ? true : undefined
  })
  expect(provider.requestsTo('revocation')).toHaveLength(1)
  await pool.query(
    'update revocations set tokens = $2, key_id = $3, next_attempt_at = now() where connection_id = $1',
    [id, rows[0]?.tokens, rows[0]?.key_id],
  )
  await waitUntilSettled(pool, id)
  expect(await auditOf(broker, id)).toContain('revocation.done success')
})

async function connectMany(broker: Client, provider: { readonly name: string }, count: number) {
  const ids: string[] = []
  for (let n = 0; n < count; n++) ids.push(await connect(broker, provider))
  return ids
}

test('[P6] a dead provider holds up nobody else, and is not besieged', async ({ broker, database: { pool } }) => {
  const [dead, healthy] = [await openProvider(broker), await openProvider(broker)]
  for (const provider of [dead, healthy]) {
    provider.always('revocation', answers.serverError(503, 3_000))
    for (const id of await connectMany(broker, provider, 8)) expect((await disconnect(broker, id)).body).toEqual(queued)
  }
  const counted = dead.requestsTo('revocation').length
  dead.always('revocation', answers.stall())
  healthy.always('revocation', undefined)
  // those of the dead one have waited longer
  await pool.query(
    `update revocations set next_attempt_at = now() - case when provider_id = $1 then interval '1 minute' else interval '0' end
      where provider_id = any ($2)`,
    [dead.providerId, [dead.providerId, healthy.providerId]],
  )
  const owedBy = async ({ providerId }: Scripted) =>
    (await pool.query('select 1 from revocations where provider_id = $1', [providerId])).rows.length
  await eventually(
    'the healthy one is told of all',
    async () => ((await owedBy(healthy)) === 0 ? true : undefined),
    9_000,
  )
  expect(dead.requestsTo('revocation'), 'four at once, and none has given up yet').toHaveLength(counted + 4)
  expect(await owedBy(dead)).toBe(8)
})

test('[P6] what another Broker is about to take keeps nobody from the rest', async ({ broker, database: { pool } }) => {
  const { provider, id: held } = await openOwing(broker)
  provider.next('revocation', answers.serverError(503, 3_000))
  const free = await connect(broker, provider)
  expect((await disconnect(broker, free)).body).toEqual(queued)
  await makeDue(pool, held)
  await whileLocked(pool, `select from revocations where connection_id = '${held}' for update`, async () => {
    await makeDue(pool, free)
    await waitUntilSettled(pool, free)
  })
  await waitUntilSettled(pool, held)
})

test('[P6] several Brokers on one queue: each token is presented once', async ({ broker, database }) => {
  await using _second = await startTestBroker(database)
  await using _third = await startTestBroker(database)
  const provider = await openProvider(broker)
  const ids = await connectMany(broker, provider, 20)
  await broker.send('DELETE', `/providers/${provider.providerId}?disconnect=true`)
  await vi.waitFor(async () => {
    for (const id of ids) expect(await auditOf(broker, id)).toContain('revocation.done success')
  }, 30_000)
  const presented = revokedAt(provider).map(([, token]) => token)
  expect(presented).toHaveLength(40)
  expect(new Set(presented).size).toBe(40)
})

test('[R6] a Broker that is told to stop does not wait for a provider, and what it leaves comes due again', async () => {
  const database = await createTestDatabase(inject('postgresUrl'), inject('postgresTemplate'))
  onTestFinished(database.drop)
  const keys = makeKeys()
  const leaving = await startTestBroker(database, { keys })
  const { provider, id } = await openOwing(leaving)
  provider.next('revocation', answers.stall())
  await makeDue(database.pool, id)
  await provider.waitForRequest('revocation', 2)
  const startedAt = performance.now()
  await leaving[Symbol.asyncDispose]()
  expect(performance.now() - startedAt).toBeLessThan(5_000)
  const [row] = await revocationsOf(database.pool, id)
  expect(row?.attempts).toBe(2)
  expect(row?.seconds_ahead, 'as after any failure, and not to the end of the lease').toBeLessThan(12)
  await using _next = await startTestBroker(database, { keys })
  await makeDue(database.pool, id)
  await waitUntilSettled(database.pool, id)
})

test('what is owed is counted, and so is what becomes of it, by outcomes of ours alone', async ({
  broker,
  database,
}) => {
  const { id } = await openOwing(broker, answers.serverError(503, 3_000))
  await using fresh = await startTestBroker(database)
  await vi.waitFor(
    async () => expect((await fresh.get('/metrics')).text).toMatch(/nexus_revocations_owed\{[^}]*\} [1-9]/),
    { timeout: 10_000 },
  )
  await makeDue(database.pool, id)
  await waitUntilSettled(database.pool, id)
  const outcomes = [...(await broker.get('/metrics')).text.matchAll(/nexus_revocations_total\{[^}]*outcome="(\w+)"/g)]
  for (const [, outcome] of outcomes) {
    expect(['done', 'unsupported', 'refused', 'transient', 'abandoned']).toContain(outcome)
  }
  expect(outcomes.map(([, outcome]) => outcome)).toContain('transient')
})
