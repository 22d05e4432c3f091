import type { ProviderProfile } from '@nexus/contracts'
import { type Step, answers } from '@nexus/testing'
import { expect } from 'vitest'
import { connect, openPlainConnection } from './connection-scene.ts'
import { setSecondsLeft, tokenRow } from './database-tools.ts'
import { type Client, readToken, startTestBroker } from './harness.ts'
import { auditOf, connectionOf, eventsOf, openProvider, test } from './handshake-scene.ts'

const refreshNow = (broker: Client, id: string) => broker.post(`/connections/${id}/refresh`)

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

test('of two Brokers one asks the provider, and both hear what came of it', async ({ broker, database }) => {
  const { provider, id } = await openPlainConnection(broker)
  await using other = await startTestBroker(database)
  const gate = answers.createGate('before', answers.oauthError('invalid_grant'))
  provider.next('token', gate.step)
  const asking = refreshNow(broker, id)
  await gate.arrived
  const waiting = [refreshNow(other, id), refreshNow(other, id)]
  gate.open()
  for (const answer of await Promise.all([asking, ...waiting])) {
    expect(answer).toMatchObject({
      status: 409,
      body: { code: 'attention_required', details: { reason: 'invalid_grant' } },
    })
  }
  const fatal = (await eventsOf(broker, id)).filter(({ event }) => event === 'token_refresh_fatal')
  expect(fatal).toHaveLength(1)
  expect(provider.counts().refreshRequests).toBe(1)
})

test('who waits at another Broker takes its failure as an answer, and asks nobody', async ({ broker, database }) => {
  const { provider, id } = await openPlainConnection(broker)
  await using other = await startTestBroker(database)
  const gate = answers.createGate('before', answers.tooManyRequests(120))
  provider.next('token', gate.step)
  const asking = refreshNow(broker, id)
  await gate.arrived
  const waiting = refreshNow(other, id)
  gate.open()
  for (const answer of await Promise.all([asking, waiting])) {
    expect(answer).toMatchObject({ status: 502, body: { code: 'provider_unavailable' } })
    expect(Number(answer.headers.get('retry-after'))).toBeGreaterThan(100)
  }
  expect(provider.counts().refreshRequests).toBe(1)
})

test('[R3] a Broker whose refusal comes too late does not blame the newer token', async ({ broker, database }) => {
  const { provider, id } = await openPlainConnection(broker, { refreshTokens: 'constant' })
  await using other = await startTestBroker(database)
  const gate = answers.createGate('before', answers.oauthError('invalid_grant'))
  provider.next('token', gate.step)
  const late = refreshNow(broker, id)
  await gate.arrived
  await database.pool.query(`update tokens set lease_until = now() - interval '1 s' where connection_id = $1`, [id])
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

test('a refused client is an alarm on the profile, and no connection is to blame', async ({ broker, database }) => {
  for (const error of ['invalid_client', 'unauthorized_client']) {
    const { provider, id } = await openPlainConnection(broker)
    const others = [await connect(broker, provider), await connect(broker, provider)]
    const spared = await connect(broker, provider)
    const profile = () => broker.get<ProviderProfile>(`/providers/${provider.providerId}`)
    for (const one of [id, ...others, spared]) await setSecondsLeft(database.pool, one, 30)
    const refusal = answers.oauthError(error, { status: 401 })
    provider.next('token', refusal, refusal, refusal)
    for (const one of [id, ...others]) {
      expect(await refreshNow(broker, one)).toMatchObject({
        status: 502,
        body: { code: 'provider_rejected', details: { error } },
      })
      expect(await auditOf(broker, one)).toContain(`token_refresh_failed ${error}`)
      expect(await connectionOf(broker, one)).toMatchObject({ status: 'active', status_reason: null })
      expect((await profile()).body.alarm).toMatchObject({ reason: error })
    }

    // nobody else's token would fare better: the provider is not asked again
    expect((await refreshNow(broker, spared)).status).toBe(502)
    for (const one of [id, spared]) expect((await readToken(broker, one)).status, 'it lives').toBe(200)
    expect(provider.counts().refreshRequests).toBe(3)

    // once the operator has mended the profile nobody has to wait
    await broker.send('PATCH', `/providers/${provider.providerId}`, {
      body: { description: 'mended' },
      key: broker.keys.ADMIN_API_KEY,
    })
    expect((await refreshNow(broker, spared)).status).toBe(200)
    expect((await profile()).body.alarm).toBeNull()
  }
  const alarms = broker.logs.lines().filter(({ msg }) => msg === 'a provider refuses our client')
  expect(alarms).toHaveLength(6)
})

test('a connection whose client alone is refused holds up no other, and is no alarm for long', async ({
  broker,
  database,
}) => {
  const { provider, id: bad } = await openPlainConnection(broker)
  const others = [await connect(broker, provider), await connect(broker, provider)]
  const profile = async () => (await broker.get<ProviderProfile>(`/providers/${provider.providerId}`)).body
  const refuseBad = async () => {
    await database.pool.query('update tokens set next_attempt_at = null where connection_id = $1', [bad])
    provider.next('token', answers.oauthError('unauthorized_client'))
    expect(await refreshNow(broker, bad)).toMatchObject({ status: 502, body: { code: 'provider_rejected' } })
  }
  await refuseBad()
  expect((await profile()).alarm, 'nothing says yet that it is alone').toMatchObject({ reason: 'unauthorized_client' })
  expect((await refreshNow(broker, others[0] ?? '')).status).toBe(200)
  expect((await profile()).alarm).toBeNull()

  for (let time = 0; time < 4; time++) await refuseBad()
  expect((await profile()).alarm).toBeNull()
  expect((await refreshNow(broker, others[1] ?? '')).status).toBe(200)
  expect(await connectionOf(broker, bad)).toMatchObject({ status: 'active', status_reason: null })
  // it asks the less often the longer it is refused
  const { failure_count, next_attempt_at } = await tokenRow(database.pool, bad)
  expect(failure_count).toBe(5)
  expect(Number(next_attempt_at)).toBeGreaterThan(Date.now() + 25_000)
  const about = broker.logs.lines().filter(({ connection_id }) => connection_id === bad)
  expect(about.filter(({ msg }) => msg === 'a provider refuses our client for one connection')).toHaveLength(4)
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
