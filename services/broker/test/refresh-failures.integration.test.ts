import { type Step, answers } from '@nexus/testing'
import { expect } from 'vitest'
import { openPlainConnection } from './connection-scene.ts'
import { setSecondsLeft, tokenRow } from './database-tools.ts'
import { type Client, readToken, startTestBroker } from './harness.ts'
import { auditOf, connectionOf, eventsOf, openProvider, test } from './handshake-scene.ts'

const refreshNow = (broker: Client, id: string) => broker.post(`/connections/${id}/refresh`)

/** Everything of a connection that a failed refresh may or may not touch. */
async function stateOf(pool: Parameters<typeof tokenRow>[0], id: string) {
  const { rows } = await pool.query(
    `select c.status, c.status_reason, c.updated_at, c.granted_scopes, t.*
       from connections c join tokens t on t.connection_id = c.id where c.id = $1`,
    [id],
  )
  return rows[0]
}

const transient: readonly (readonly [string, Step, string])[] = [
  ['429', answers.tooManyRequests(120), 'slow_down'],
  ['500', answers.serverError(500), 'http_500'],
  ['503 with Retry-After', answers.serverError(503, 120), 'http_503'],
  // a provider that hangs gives the same, after the deadline that oauth/refresh.integration.test.ts measures
  ['a connection that breaks', answers.cutConnection(), 'unavailable'],
  ['an answer that breaks off', answers.cutMidway(), 'unavailable'],
  ['junk', answers.junk(), 'invalid_answer'],
  ['an unknown OAuth error', answers.oauthError('temporarily_unavailable'), 'temporarily_unavailable'],
  ['200 with an error inside', answers.oauthError('server_error', { status: 200 }), 'server_error'],
]

for (const [name, step, outcome] of transient) {
  test(`a living token is served though its refresh fails, an expired one is 502: ${name}`, async ({
    broker,
    database,
  }) => {
    const { provider, id } = await openPlainConnection(broker)
    const { access_token: first } = (await readToken(broker, id)).body
    await setSecondsLeft(database.pool, id, 30)
    provider.next('token', step)
    expect((await readToken(broker, id)).body.access_token).toBe(first)
    expect(await auditOf(broker, id)).toContain(`token_refresh_failed ${outcome}`)

    const { failure_count, next_attempt_at } = await tokenRow(database.pool, id)
    expect(failure_count).toBe(1)
    expect(next_attempt_at).not.toBeNull()
    // nobody asks again before next_attempt_at, however often the token is read or a refresh demanded
    const asked = provider.requestsTo('token').length
    expect((await readToken(broker, id)).body.access_token).toBe(first)
    await setSecondsLeft(database.pool, id, -1)
    for (const answer of [await readToken(broker, id), await refreshNow(broker, id)]) {
      expect(answer).toMatchObject({ status: 502, body: { code: 'provider_unavailable' } })
      expect(Number(answer.headers.get('retry-after'))).toBeGreaterThan(0)
      expect(answer.text).not.toContain(first)
    }
    expect(provider.requestsTo('token')).toHaveLength(asked)
    expect(await connectionOf(broker, id)).toMatchObject({ status: 'active', status_reason: null })

    await database.pool.query(`update tokens set next_attempt_at = now() where connection_id = $1`, [id])
    expect((await readToken(broker, id)).status).toBe(200)
    expect(await tokenRow(database.pool, id)).toMatchObject({ failure_count: 0, next_attempt_at: null })
  })
}

test('Retry-After of the provider is honoured, and told to whoever asks', async ({ broker, database }) => {
  const { provider, id } = await openPlainConnection(broker)
  await setSecondsLeft(database.pool, id, -1)
  provider.next('token', answers.tooManyRequests(120))
  const { status, headers } = await readToken(broker, id)
  expect(status).toBe(502)
  expect(Number(headers.get('retry-after'))).toBeGreaterThanOrEqual(118)
  const { next_attempt_at } = await tokenRow(database.pool, id)
  expect(Number(next_attempt_at)).toBeGreaterThan(Date.now() + 110_000)
})

test('invalid_grant ends the grant once, with one audit event, however many find out', async ({ broker, database }) => {
  const { provider, id } = await openPlainConnection(broker)
  await setSecondsLeft(database.pool, id, 30)
  provider.next('token', answers.oauthError('invalid_grant', { description: 'the person withdrew consent' }))
  const answersGiven = await Promise.all(Array.from({ length: 10 }, () => readToken(broker, id)))
  for (const answer of answersGiven) {
    expect(answer).toMatchObject({
      status: 409,
      body: { code: 'attention_required', details: { reason: 'invalid_grant' } },
    })
    expect(answer.text, '[P5] no text of the provider').not.toContain('withdrew')
  }
  expect(await refreshNow(broker, id)).toMatchObject({ status: 409, body: { code: 'attention_required' } })
  expect(await connectionOf(broker, id)).toMatchObject({ status: 'attention_required', status_reason: 'invalid_grant' })
  const fatal = (await eventsOf(broker, id)).filter(({ event }) => event === 'token_refresh_fatal')
  expect(fatal).toMatchObject([{ outcome: 'invalid_grant', token_version: 1, actor_kind: 'gateway' }])
  expect(provider.counts().refreshRequests).toBe(1)
})

test('two Brokers that hear of it at the same moment record it once', async ({ broker, database }) => {
  const { provider, id } = await openPlainConnection(broker)
  await using other = await startTestBroker(database)
  const gates = [1, 2].map(() => answers.createGate('before', answers.oauthError('invalid_grant')))
  provider.next('token', ...gates.map(({ step }) => step))
  const refreshing = [refreshNow(broker, id), refreshNow(other, id)]
  await Promise.all(gates.map(({ arrived }) => arrived))
  for (const gate of gates) gate.open()
  for (const answer of await Promise.all(refreshing)) {
    expect(answer).toMatchObject({ status: 409, body: { code: 'attention_required' } })
  }
  const fatal = (await eventsOf(broker, id)).filter(({ event }) => event === 'token_refresh_fatal')
  expect(fatal).toHaveLength(1)
})

test('a Broker whose refusal comes too late does not blame the newer token', async ({ broker, database }) => {
  const { provider, id } = await openPlainConnection(broker, { refreshTokens: 'constant' })
  await using other = await startTestBroker(database)
  const gate = answers.createGate('before', answers.oauthError('invalid_grant'))
  provider.next('token', gate.step)
  const late = refreshNow(broker, id)
  await gate.arrived
  expect((await refreshNow(other, id)).status).toBe(200)
  gate.open()
  expect(await late, 'the token of the other Broker is the answer').toMatchObject({ status: 200 })
  expect(await connectionOf(broker, id)).toMatchObject({ status: 'active', status_reason: null })
  expect(await auditOf(broker, id)).not.toContain('token_refresh_fatal invalid_grant')
})

test('errors that the profile calls fatal end the grant too', async ({ broker, database }) => {
  const { provider, id } = await openPlainConnection(broker, {}, { fatal_refresh_errors: ['bad_refresh_token'] })
  await setSecondsLeft(database.pool, id, -1)
  provider.next('token', answers.oauthError('bad_refresh_token', { status: 200 }))
  expect(await readToken(broker, id)).toMatchObject({ status: 409, body: { code: 'attention_required' } })
  expect((await connectionOf(broker, id)).status_reason).toBe('bad_refresh_token')
})

test('a refused client changes nothing but the answer: the profile is at fault', async ({ broker, database }) => {
  const { provider, id } = await openPlainConnection(broker)
  for (const error of ['invalid_client', 'unauthorized_client']) {
    await setSecondsLeft(database.pool, id, 30)
    const before = await stateOf(database.pool, id)
    provider.next('token', answers.oauthError(error, { status: 401 }))
    expect((await readToken(broker, id)).status, 'it lives').toBe(200)
    provider.next('token', answers.oauthError(error, { status: 401 }))
    const refused = await refreshNow(broker, id)
    expect(refused).toMatchObject({ status: 502, body: { code: 'provider_rejected', details: { error } } })
    expect(await stateOf(database.pool, id)).toEqual(before)
    expect(await auditOf(broker, id)).toContain(`token_refresh_failed ${error}`)
  }
  // once the operator has mended the profile nobody has to wait
  await setSecondsLeft(database.pool, id, -1)
  expect((await readToken(broker, id)).status).toBe(200)
  const alarms = broker.logs.lines().filter(({ msg }) => msg === 'a provider refuses our client')
  expect(alarms.length).toBeGreaterThanOrEqual(4)
})

test('what has been failing for thirty days past its expiry needs its user', async ({ broker, database }) => {
  const { provider, id } = await openPlainConnection(broker)
  provider.always('token', answers.serverError())
  await setSecondsLeft(database.pool, id, -29 * 86_400)
  expect((await readToken(broker, id)).status).toBe(502)
  await setSecondsLeft(database.pool, id, -31 * 86_400)
  await database.pool.query('update tokens set next_attempt_at = null where connection_id = $1', [id])
  expect(await readToken(broker, id)).toMatchObject({ status: 409, body: { details: { reason: 'refresh_failing' } } })
})

test('every attempt to refresh is recorded, those that no provider hears of too', async ({ broker }) => {
  const provider = await openProvider(broker)
  const { body } = await broker.post<{ connection_id: string }>('/auth/consent-spec', {
    workspace_id: 'user-1',
    provider_name: provider.name,
  })
  await refreshNow(broker, body.connection_id)
  expect(await auditOf(broker, body.connection_id)).toEqual([
    'connection.requested success',
    'token_retrieval_failed connection_not_active',
  ])
})
