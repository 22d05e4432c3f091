import { answers } from '@nexus/testing'
import { expect } from 'vitest'
import { comeBack, complete, countSecrets, passHold, travelHeld } from './completion-scene.ts'
import {
  arrive,
  atServer,
  auditOf,
  connectionOf,
  consent,
  eventsOf,
  openLink,
  openProvider,
  returned,
  send,
  test,
  travel,
} from './handshake-scene.ts'
import { readToken, requestConnection, startTestBroker, mintToken } from './harness.ts'

const refused = { status: 409, body: { code: 'completion_refused' } }

test('the person comes back with a code, nothing has gone to the provider, and the app completes the connection', async ({
  broker,
  database,
}) => {
  const provider = await openProvider(broker)
  const journey = await travel(broker, provider, { completion: 'app' })
  const arrival = await arrive(journey)
  const { completion_code, ...parameters } = returned(arrival)
  expect(parameters).toEqual({
    from: 'app',
    status: 'completion_required',
    connection_id: journey.connection_id,
    provider: provider.name,
  })
  expect(completion_code).toMatch(/^[\w-]{43}$/)
  expect(arrival.headers.get('set-cookie')).toContain('Max-Age=0')
  expect(provider.requestsTo('token')).toEqual([])
  expect(await connectionOf(broker, journey.connection_id)).toMatchObject({ status: 'pending' })
  expect((await readToken(broker, journey.connection_id)).status).toBe(409)
  expect(await countSecrets(database.pool, journey.connection_id)).toBe(1)

  const held = { ...journey, completionCode: completion_code ?? '' }
  expect(await complete(broker, held)).toMatchObject({
    status: 200,
    body: { connection_id: journey.connection_id, status: 'active', provider: provider.name },
  })
  expect((await readToken(broker, journey.connection_id)).status).toBe(200)
  expect(await countSecrets(database.pool, journey.connection_id)).toBe(0)
  expect(provider.requestsTo('token')).toHaveLength(1)
  expect(provider.violations).toEqual([])
  expect(await auditOf(broker, journey.connection_id)).toEqual([
    'connection.requested success',
    'connection.held success',
    'token_retrieval_failed connection_not_active',
    'oauth_flow_completed success',
    'connection.completed success',
    'token_retrieved success',
  ])
  const actors = (await eventsOf(broker, journey.connection_id)).map(({ event, actor_kind }) => [event, actor_kind])
  expect(actors).toContainEqual(['connection.held', 'browser'])
  expect(actors).toContainEqual(['connection.completed', 'agent'])
})

test('[H4] account linking by a forwarded link fails: the victim consents, and no token request reaches the provider', async ({
  broker,
  database,
}) => {
  const provider = await openProvider(broker)
  // the attacker's own request, whose link somebody else opens and consents to
  const held = await travelHeld(broker, provider, { workspace_id: 'attacker' })

  // back at the app, in the victim's session
  expect(await complete(broker, held, 'victim')).toMatchObject(refused)

  expect(provider.requestsTo('token')).toEqual([])
  expect(provider.counts().codesExchanged.size).toBe(0)
  expect(await connectionOf(broker, held.connection_id)).toMatchObject({
    status: 'failed',
    status_reason: 'completion_refused',
  })
  expect(await countSecrets(database.pool, held.connection_id)).toBe(0)
  // the attacker, who learned the code by whatever means, is too late
  expect(await complete(broker, held, 'attacker')).toMatchObject(refused)
  expect(provider.requestsTo('token')).toEqual([])
  expect(await auditOf(broker, held.connection_id)).toEqual([
    'connection.requested success',
    'connection.held success',
    'completion_refused wrong_user',
    'completion_refused repeated',
  ])
})

test('[H4] the attacker’s own sign-in, finished in the victim’s session, connects nothing either', async ({
  broker,
}) => {
  const provider = await openProvider(broker)
  const held = await travelHeld(broker, provider, { workspace_id: 'attacker' })
  // the attacker hands on the URL that he was sent back to
  expect(await complete(broker, held, 'victim')).toMatchObject(refused)
  expect(provider.requestsTo('token')).toEqual([])
})

test('a wrong code, a code of another connection and a wrong user get one and the same answer', async ({
  broker,
  database,
}) => {
  const provider = await openProvider(broker)
  const other = await travelHeld(broker, provider)
  const bodies = new Set<string>()
  for (const [completionCode, user, reason] of [
    ['x'.repeat(43), 'user-1', 'wrong_code'],
    [other.completionCode, 'user-1', 'wrong_code'],
    [undefined, 'user-2', 'wrong_user'],
    [undefined, 'USER-1', 'wrong_user'],
  ] as const) {
    const held = await travelHeld(broker, provider)
    const answer = await complete(broker, { ...held, completionCode: completionCode ?? held.completionCode }, user)
    expect(answer).toMatchObject(refused)
    bodies.add(answer.text.replace(/"request_id":"[^"]*"/, ''))
    expect(await auditOf(broker, held.connection_id)).toContain(`completion_refused ${reason}`)
    expect(await countSecrets(database.pool, held.connection_id)).toBe(0)
    expect(await connectionOf(broker, held.connection_id)).toMatchObject({ status: 'failed' })
    // the right one comes too late
    expect(await complete(broker, held)).toMatchObject(refused)
  }
  expect([...bodies]).toEqual([expect.not.stringContaining('details')])
  expect(provider.requestsTo('token')).toEqual([])
  expect(await complete(broker, other), 'the connection whose code was tried elsewhere is untouched').toMatchObject({
    status: 200,
  })
})

test('there is nothing to complete where nothing is held, and no connection where there is none', async ({
  broker,
}) => {
  const provider = await openProvider(broker)
  const { connection_id } = await requestConnection(broker, { provider_name: provider.name, completion: 'app' })
  const completionCode = 'x'.repeat(43)
  expect(await complete(broker, { connection_id, completionCode })).toMatchObject(refused)
  expect(await connectionOf(broker, connection_id), 'who has not come back may still come').toMatchObject({
    status: 'pending',
  })
  const unknown = { connection_id: '019ab000-0000-7000-8000-00000000dead', completionCode }
  expect(await complete(broker, unknown)).toMatchObject({ status: 404, body: { code: 'connection_not_found' } })
})

test('only a token with c says who came back: no other permission implies it, and no key', async ({ broker }) => {
  const provider = await openProvider(broker)
  const held = await travelHeld(broker, provider)
  const body = { completion_code: held.completionCode, workspace_id: 'user-1' }
  const path = `/connections/${held.connection_id}/complete`
  const { API_KEY, ADMIN_API_KEY } = broker.keys
  const withoutC = await mintToken(broker, { zones: [{ zone: 'root', permissions: 'rwx' }], is_admin: true })
  for (const [key, headers, code] of [
    [API_KEY, {}, 'insufficient_permission'],
    [ADMIN_API_KEY, {}, 'forbidden'],
    [API_KEY, { authorization: `Bearer ${withoutC}` }, 'insufficient_permission'],
  ] as const) {
    expect(await broker.send('POST', path, { key, headers, body })).toMatchObject({ status: 403, body: { code } })
  }
  expect(await complete(broker, held)).toMatchObject({ status: 200 })
})

test('asked again after success, it tells that all is done and how the connection is', async ({ broker }) => {
  const provider = await openProvider(broker)
  const held = await travelHeld(broker, provider)
  expect(await complete(broker, held)).toMatchObject({ status: 200 })
  for (const _ of [1, 2]) {
    expect(await complete(broker, held)).toMatchObject({
      status: 409,
      body: { code: 'already_completed', details: { status: 'active' } },
    })
  }
  expect(await complete(broker, held, 'victim'), 'but nobody else').toMatchObject(refused)
  expect(await connectionOf(broker, held.connection_id)).toMatchObject({ status: 'active' })
  expect(provider.requestsTo('token')).toHaveLength(1)
})

test('[H2] a repeated callback with the cookie goes the same way, a stranger’s goes nowhere', async ({ broker }) => {
  const provider = await openProvider(broker)
  const journey = await travel(broker, provider, { completion: 'app' })
  const landings = await Promise.all([arrive(journey), arrive(journey), arrive(journey)])
  const again = await arrive(journey)
  expect(new Set([...landings, again].map(({ location }) => location?.href)).size).toBe(1)
  const stranger = await send(journey.callback)
  expect(stranger).toMatchObject({ status: 410, location: undefined })
  expect(stranger.text).toContain('already used')
  expect(stranger.text).not.toContain(returned(again)['completion_code'])
  const changed = new URL(journey.callback)
  changed.searchParams.set('code', 'another')
  expect((await send(changed, { cookie: journey.cookie })).location?.href).toBe(again.location?.href)

  const held = { ...journey, completionCode: returned(again)['completion_code'] ?? '' }
  expect(await complete(broker, held)).toMatchObject({ status: 200 })
  const done = returned(await arrive(journey))
  expect(done).toMatchObject({ status: 'success' })
  expect(done).not.toHaveProperty('completion_code')
})

test('[H2] while something is held no other attempt of the link is accepted, and the link opens no more', async ({
  broker,
  database,
}) => {
  const provider = await openProvider(broker)
  const first = await travel(broker, provider, { completion: 'app' })
  const second = await openLink(first.authUrl)
  const callback = await consent(second)
  const held = await comeBack(first)
  // nobody presents it, so nobody is taken for dead over it, however long COMPLETION_SECONDS is
  await database.pool.query(
    `update handshakes set accepted_at = accepted_at - interval '2 minutes' where connection_id = $1`,
    [held.connection_id],
  )

  expect(await send(first.authUrl)).toMatchObject({ status: 410, location: undefined })
  const other = await send(callback, { cookie: second.cookie })
  expect(returned(other)).toMatchObject({ status: 'error', error: 'already_completed' })
  expect(other.location?.href).not.toContain(held.completionCode)
  expect(await complete(broker, held)).toMatchObject({ status: 200 })
  expect(provider.counts().codesExchanged.get(callback.searchParams.get('code') ?? '')).toBeUndefined()
})

test('[H7] an error of the provider goes back at once, and there is nothing to complete', async ({ broker }) => {
  const provider = await openProvider(broker, {
    provider: { behaviour: { authorization: { error: 'access_denied' } } },
  })
  const journey = await travel(broker, provider, { completion: 'app' })
  const landing = returned(await arrive(journey))
  expect(landing).toMatchObject({ status: 'error', error: 'access_denied' })
  expect(landing).not.toHaveProperty('completion_code')
  expect(await connectionOf(broker, journey.connection_id)).toMatchObject({
    status: 'failed',
    status_reason: 'access_denied',
  })
})

test('[H10] a forged completion_code in the app’s own URL does not survive', async ({ broker }) => {
  const provider = await openProvider(broker)
  const return_url = 'http://127.0.0.1:1/app/done?completion_code=forged&status=success'
  const held = await comeBack(await travel(broker, provider, { completion: 'app', return_url }))
  expect(held.completionCode).not.toBe('forged')
  const plain = await arrive(await travel(broker, provider, { return_url }))
  expect(plain.location?.searchParams.has('completion_code')).toBe(false)
})

test('[H10] where the URL to return to is no longer allowed nothing is held, and what is held is destroyed', async ({
  broker: shared,
  database,
}) => {
  const provider = await openProvider(shared)
  const env = { BASE_URL: shared.url }
  await using wide = await startTestBroker(database, { env: { ...env, ALLOWED_RETURN_DOMAINS: 'app.example.com' } })
  await using narrow = await startTestBroker(database, { env: { ...env, ALLOWED_RETURN_DOMAINS: 'other.example.com' } })
  const spec = { completion: 'app', return_url: 'https://app.example.com/done' }
  const [early, late] = [await travel(wide, provider, spec), await travel(wide, provider, spec)]

  const first = await send(atServer(early.callback, wide.url), { cookie: early.cookie })
  const held = { ...early, completionCode: returned(first)['completion_code'] ?? '' }
  for (const { callback, cookie, connection_id } of [early, late]) {
    const page = await send(atServer(callback, narrow.url), { cookie })
    expect(page).toMatchObject({ status: 410, location: undefined })
    expect(page.text).toContain('This link has expired')
    expect(page.text).not.toContain(held.completionCode)
    expect(await countSecrets(database.pool, connection_id)).toBe(0)
    expect(await connectionOf(narrow, connection_id)).toMatchObject({
      status: 'failed',
      status_reason: 'return_url_not_allowed',
    })
    expect(await auditOf(narrow, connection_id)).toContain('completion_refused return_url_not_allowed')
  }
  expect((await complete(wide, held)).status).toBe(410)
  expect(provider.requestsTo('token')).toEqual([])
})

test.for([
  ['invalid_grant', 502, 'provider_rejected'],
  ['temporarily_unavailable', 502, 'provider_unavailable'],
] as const)('an exchange that fails with %s is answered, and ends the connection', async (given, { broker }) => {
  const [error, status, code] = given
  const provider = await openProvider(broker)
  const held = await travelHeld(broker, provider)
  provider.next('token', answers.oauthError(error, { status: error === 'invalid_grant' ? 400 : 503 }))
  expect(await complete(broker, held)).toMatchObject({ status, body: { code } })
  expect(await connectionOf(broker, held.connection_id)).toMatchObject({ status: 'failed', status_reason: code })
  // who lost that answer hears it again
  expect(await complete(broker, held)).toMatchObject({ status, body: { code } })
  expect(provider.requestsTo('token')).toHaveLength(1)
  expect(returned(await arrive(held))).toMatchObject({ status: 'error', error: code })
})

test('an ID token that does not verify is answered as a provider at fault', async ({ broker }) => {
  const provider = await openProvider(broker)
  const held = await travelHeld(broker, provider)
  provider.behave({ idToken: { claims: { nonce: 'another' } } })
  expect(await complete(broker, held)).toMatchObject({ status: 502, body: { code: 'provider_rejected' } })
  expect(await auditOf(broker, held.connection_id)).toContain('id_token_verification_failed id_token_invalid')
})

test('what the profile keeps of the callback is kept until the app completes', async ({ broker }) => {
  const provider = await openProvider(broker, { profile: { keep_callback_params: ['realmId'] } })
  const journey = await travel(broker, provider, { completion: 'app' })
  journey.callback.searchParams.set('realmId', 'realm-7')
  const held = await comeBack(journey)
  expect(await complete(broker, held)).toMatchObject({ status: 200 })
  expect((await readToken(broker, held.connection_id)).body.extra).toEqual({ realmId: 'realm-7' })
})

test('an app that comes too late finds that all is destroyed, at once', async ({ broker, database }) => {
  const provider = await openProvider(broker)
  const held = await travelHeld(broker, provider)
  await passHold(database.pool, held.connection_id)
  expect(returned(await arrive(held))).toMatchObject({ status: 'error', error: 'completion_missed' })
  expect(await complete(broker, held)).toMatchObject(refused)
  expect(await countSecrets(database.pool, held.connection_id)).toBe(0)
  expect(await connectionOf(broker, held.connection_id)).toMatchObject({
    status: 'failed',
    status_reason: 'completion_missed',
  })
  expect(await auditOf(broker, held.connection_id)).toContain('completion_refused completion_missed')
  expect(provider.requestsTo('token')).toEqual([])
})

test('COMPLETION_SECONDS is how long it is held, by the database’s clock', async ({ broker: shared, database }) => {
  await using broker = await startTestBroker(database, { env: { COMPLETION_SECONDS: '17', BASE_URL: shared.url } })
  const provider = await openProvider(shared)
  const journey = await travel(shared, provider, { completion: 'app' })
  const arrival = await send(atServer(journey.callback, broker.url), { cookie: journey.cookie })
  expect(returned(arrival)).toMatchObject({ status: 'completion_required' })
  const { rows } = await database.pool.query(
    `select extract(epoch from h.held_until - h.accepted_at)::int as held, a.expires_at = h.held_until as same
       from handshakes h join handshake_attempts a on a.handshake_id = h.id where h.connection_id = $1`,
    [journey.connection_id],
  )
  expect(rows).toEqual([{ held: 17, same: true }])
})

test('a hold outlives the link and the attempt it came by', async ({ broker, database }) => {
  const provider = await openProvider(broker)
  const journey = await travel(broker, provider, { completion: 'app' })
  await database.pool.query(
    `update handshake_attempts set expires_at = now() + interval '20 seconds' where handshake_id in
    (select id from handshakes where connection_id = $1)`,
    [journey.connection_id],
  )
  await database.pool.query(`update connections set pending_until = now() + interval '20 seconds' where id = $1`, [
    journey.connection_id,
  ])
  const held = await comeBack(journey)
  const { rows } = await database.pool.query(
    `select c.pending_until > h.held_until as outlived, a.expires_at >= h.held_until as kept
       from connections c join handshakes h on h.connection_id = c.id join handshake_attempts a on a.handshake_id = h.id
      where c.id = $1`,
    [held.connection_id],
  )
  expect(rows).toEqual([{ outlived: true, kept: true }])
  expect(await complete(broker, held)).toMatchObject({ status: 200 })
})
