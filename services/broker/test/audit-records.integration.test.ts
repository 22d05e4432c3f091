import type { AuditEventBody } from '@nexus/contracts'
import { answers, createBrowser } from '@nexus/testing'
import { expect } from 'vitest'
import { connect, openPlainConnection } from './connection-scene.ts'
import { eventually, setSecondsLeft } from './database-tools.ts'
import { type Client, isApp, readToken, requestConnection } from './harness.ts'
import { auditOf, eventsOf, openProvider, test } from './handshake-scene.ts'
import { type RawHeader, sendRaw } from './raw-http.ts'

const unknownId = '019ab000-0000-7000-8000-00000000dead'

test('[A2] a read is recorded with everything that is known of it', async ({ broker }) => {
  const { provider, id } = await openPlainConnection(broker)
  await broker.get(`/connections/${id}/token`, {
    headers: { 'user-agent': 'agent/1.0', 'x-request-id': 'request-0001' },
  })
  expect((await eventsOf(broker, id)).at(-1)).toEqual({
    id: expect.stringMatching(/^[\da-f-]{36}$/),
    at: expect.stringMatching(/Z$/),
    event: 'token_retrieved',
    outcome: 'success',
    zone: 'root',
    actor_kind: 'gateway',
    actor_id: 'gateway',
    connection_id: id,
    provider_id: provider.providerId,
    token_version: 1,
    address: '127.0.0.1',
    user_agent: 'agent/1.0',
    request_id: 'request-0001',
    data: {},
  })
})

test('[A2] probes of unknown ids are recorded', async ({ broker }) => {
  await readToken(broker, unknownId)
  await broker.post(`/connections/${unknownId}/refresh`)
  const events = await eventsOf(broker, unknownId)
  expect(events).toMatchObject([
    { event: 'token_retrieval_failed', outcome: 'connection_not_found', provider_id: null, token_version: null },
    // whoever may refresh nothing that is there is told the same
    { event: 'access.denied', outcome: 'connection_not_found' },
  ])
})

const hostile: readonly (readonly [name: string, agent: Buffer, recorded: string])[] = [
  ['bytes that are no UTF-8', Buffer.from([0x61, 0xff, 0xfe, 0xc3, 0x28]), 'aÿþÃ('],
  ['a lone surrogate, encoded', Buffer.from([0xed, 0xa0, 0x80]), 'í\u00a0\u0080'],
  ['SQL', Buffer.from(`'); drop table tokens; --`), `'); drop table tokens; --`],
  ['twelve thousand characters', Buffer.from('x'.repeat(12_000)), 'x'.repeat(512)],
]

for (const [name, agent, recorded] of hostile) {
  test(`[A2] no user agent suppresses its record: ${name}`, async ({ broker }) => {
    const { id } = await openPlainConnection(broker)
    const { status } = await sendRead(broker, id, agent)
    expect(status).toBe(200)
    expect((await eventsOf(broker, id)).at(-1)).toMatchObject({ event: 'token_retrieved', user_agent: recorded })
  })
}

for (const [name, agent, code] of [
  ['NUL', Buffer.from('a\0b'), 400],
  ['64 KiB', Buffer.alloc(65_536, 0x78), 431],
] as const) {
  test(`[A2] a user agent with ${name} reaches no secret, so there is nothing to record`, async ({ broker }) => {
    const { id } = await openPlainConnection(broker)
    const before = await auditOf(broker, id)
    const { status, body } = await sendRead(broker, id, agent)
    expect(status).toBe(code)
    expect(body).not.toContain('access_token')
    expect(await auditOf(broker, id)).toEqual(before)
  })
}

type Reachable = { readonly url: string; readonly keys: { readonly API_KEY: string } }

function sendRead({ url, keys }: Reachable, id: string, agent: Buffer) {
  const headers: readonly RawHeader[] = [
    ['X-API-Key', keys.API_KEY],
    ['User-Agent', agent],
  ]
  return sendRaw(url, { path: `/connections/${id}/token`, headers })
}

test('[A2] refused calls are recorded with who, from where and why', async ({ broker }) => {
  const path = `/connections/${unknownId}/token`
  await broker.get(path, { key: undefined, headers: { 'x-request-id': 'denied-missing' } })
  await broker.get(path, { key: 'x'.repeat(64), headers: { 'x-request-id': 'denied-invalid' } })
  await broker.get(path, { key: broker.keys.ADMIN_API_KEY, headers: { 'x-request-id': 'denied-forbidden' } })
  const denied = await eventually('three refused calls are recorded', async () => {
    const { body } = await broker.get<{ events: AuditEventBody[] }>('/audit?event_type=access.denied')
    const ours = body.events.filter(({ request_id }) => request_id?.startsWith('denied-'))
    return ours.length === 3 ? ours : undefined
  })
  const byRequest = Object.fromEntries(denied.map((event) => [event.request_id, event]))
  const shared = {
    connection_id: unknownId,
    address: '127.0.0.1',
    data: { method: 'GET', route: '/connections/:id/token' },
  }
  expect(byRequest['denied-missing']).toMatchObject({ ...shared, outcome: 'missing_api_key', actor_id: null })
  expect(byRequest['denied-invalid']).toMatchObject({ ...shared, outcome: 'invalid_api_key', actor_id: null })
  expect(byRequest['denied-forbidden']).toMatchObject({ ...shared, outcome: 'forbidden', actor_kind: 'operator' })
})

test('[A3] the events of a life are called what the design calls them', async ({ broker, database }) => {
  const provider = await openProvider(broker)
  const id = await connect(broker, provider)
  await readToken(broker, id)
  await setSecondsLeft(database.pool, id, -1)
  provider.next('token', answers.serverError())
  await readToken(broker, id)
  await database.pool.query('update tokens set next_attempt_at = null where connection_id = $1', [id])
  await readToken(broker, id)
  await setSecondsLeft(database.pool, id, -1)
  provider.next('token', answers.oauthError('invalid_grant'))
  await readToken(broker, id)
  expect(await auditOf(broker, id)).toEqual([
    'connection.requested success',
    'oauth_flow_completed success',
    'token_retrieved success',
    'token_refresh_failed http_503',
    'token_retrieval_failed provider_unavailable',
    'token_refreshed success',
    'token_retrieved success',
    'token_refresh_fatal invalid_grant',
    'token_retrieval_failed attention_required',
  ])

  expect(await failingJourney(broker, provider, { authorization: { error: 'access_denied' } })).toBe(
    'oauth_error access_denied',
  )
  expect(await failingJourney(broker, provider, { idToken: { claims: { aud: 'another' } } })).toBe(
    'id_token_verification_failed id_token_invalid',
  )
  provider.next('token', answers.oauthError('invalid_grant'))
  expect(await failingJourney(broker, provider, {})).toBe('token_exchange_failed provider_rejected')

  await broker.send('PATCH', `/providers/${provider.providerId}`, { body: { description: 'changed' } })
  await broker.send('DELETE', `/providers/${provider.providerId}`)
  const { body } = await broker.get<{ events: AuditEventBody[] }>('/audit?limit=200')
  const ofProvider = body.events.filter(
    ({ event, provider_id }) => event.startsWith('provider.') && provider_id === provider.providerId,
  )
  expect(ofProvider.map(({ event }) => event)).toEqual(['provider.deleted', 'provider.updated', 'provider.created'])
  for (const event of ofProvider) {
    expect(event).toMatchObject({ actor_kind: 'operator', actor_id: 'operator', data: { name: provider.name } })
  }
  await broker.get('/auth/callback?state=forged', { key: undefined })
  const { body: forged } = await broker.get<{ events: AuditEventBody[] }>('/audit?event_type=state_verification_failed')
  expect(forged.events[0]).toMatchObject({ actor_kind: 'browser', outcome: 'bad_state', connection_id: null })
})

/** A journey that the provider spoils; the last thing recorded of it. */
async function failingJourney(
  broker: Client,
  provider: Awaited<ReturnType<typeof openProvider>>,
  change: Parameters<typeof provider.behave>[0],
): Promise<string | undefined> {
  const { authUrl, connection_id } = await requestConnection(broker, { provider_name: provider.name })
  provider.behave(change)
  const { url } = await createBrowser().open(authUrl, { stopAt: isApp })
  provider.behave({ authorization: { error: undefined }, idToken: {} })
  expect(url.searchParams.get('status')).toBe('error')
  return (await auditOf(broker, connection_id)).at(-1)
}
