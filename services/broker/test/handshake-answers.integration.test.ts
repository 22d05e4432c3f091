import { answers, createBrowser } from '@nexus/testing'
import { expect } from 'vitest'
import {
  type ProviderOptions,
  arrive,
  auditOf,
  connectionOf,
  openProvider,
  returned,
  staticEndpoints,
  test,
  travel,
} from './handshake-scene.ts'
import { type Client, isApp, readToken, requestConnection } from './harness.ts'

/** The whole way at a provider of its own, to the credential payload. */
async function connect(broker: Client, options: ProviderOptions, spec: Readonly<Record<string, unknown>> = {}) {
  const provider = await openProvider(broker, options)
  const { authUrl, connection_id } = await requestConnection(broker, { provider_name: provider.name, ...spec })
  await createBrowser().open(authUrl, { stopAt: isApp })
  const { status, body } = await readToken(broker, connection_id)
  expect(status).toBe(200)
  return { provider, connection_id, payload: body, sent: provider.requestsTo('token')[0]?.form }
}

const refreshing = [
  ['rotates refresh tokens', 'rotate'],
  ['always gives the same refresh token', 'constant'],
  ['does not repeat the refresh token', 'omit-on-refresh'],
] as const

test.for(refreshing)('a provider that %s goes on being refreshed', async ([, policy], { broker, database }) => {
  const { provider, connection_id, payload } = await connect(broker, {
    provider: { behaviour: { token: { refreshTokens: policy } } },
  })
  let previous = payload.access_token
  for (const count of [1, 2, 3]) {
    // a refresh of the last ten seconds would be answered with its result
    await database.pool.query(`update tokens set last_refresh_at = last_refresh_at - interval '1 minute'`)
    const refreshed = await broker.post<{ access_token: string }>(`/connections/${connection_id}/refresh`)
    expect(refreshed.status).toBe(200)
    expect(refreshed.body.access_token).not.toBe(previous)
    previous = refreshed.body.access_token
    expect(provider.counts()).toMatchObject({ refreshRequests: count, supersededPresentations: 0 })
  }
  expect(provider.violations).toEqual([])
})

test('a provider without refresh tokens gives a connection that cannot be refreshed', async ({ broker }) => {
  const { connection_id } = await connect(broker, { provider: { behaviour: { token: { refreshTokens: 'none' } } } })
  const refreshed = await broker.post(`/connections/${connection_id}/refresh`)
  expect(refreshed).toMatchObject({ status: 409, body: { code: 'attention_required' } })
  expect((await readToken(broker, connection_id)).status).toBe(200)
})

test.for(['by-accept', 'form'] as const)(
  '[P3] a provider whose answer is %s is understood',
  async (format, { broker }) => {
    const { payload } = await connect(broker, {
      provider: { behaviour: { token: { format } } },
      profile: staticEndpoints,
    })
    expect(payload).toMatchObject({ token_type: 'Bearer', scope: 'read', expires_in: expect.closeTo(3600, -1) })
  },
)

const failures = [
  ['a 200 with an error', answers.oauthError('bad_verification_code', { status: 200 }), 'provider_rejected'],
  ['a 400', answers.oauthError('invalid_grant'), 'provider_rejected'],
  ['a form-encoded 200 with an error', answers.form({ error: 'bad_verification_code' }), 'provider_rejected'],
  ['a 200 without a token', answers.json({ token_type: 'Bearer' }), 'provider_rejected'],
  ['an unknown token type', answers.alter({ token_type: 'mac' }), 'provider_rejected'],
  ['a nonsensical lifetime', answers.alter({ expires_in: 'soon' }), 'provider_rejected'],
  ['junk', answers.junk(), 'provider_rejected'],
  ['a redirect', answers.redirect('https://elsewhere.example/token', 307), 'provider_rejected'],
  ['a 503', answers.serverError(), 'provider_unavailable'],
  ['a 429', answers.tooManyRequests(30), 'provider_unavailable'],
  ['a closed connection', answers.cutConnection(), 'provider_unavailable'],
  ['half an answer', answers.cutMidway(), 'provider_unavailable'],
] as const

test.for(failures)(
  '[P3] %s ends the handshake at return_url, nothing stored',
  async ([, answer, error], { broker, database }) => {
    const provider = await openProvider(broker)
    provider.next('token', answer)
    const journey = await travel(broker, provider)
    expect(returned(await arrive(journey))).toEqual({
      from: 'app',
      status: 'error',
      error,
      connection_id: journey.connection_id,
      provider: provider.name,
    })
    expect(await connectionOf(broker, journey.connection_id)).toMatchObject({ status: 'failed', status_reason: error })
    expect(await auditOf(broker, journey.connection_id)).toEqual([
      'connection.requested success',
      `token_exchange_failed ${error}`,
    ])
    const { rows } = await database.pool.query('select 1 from tokens where connection_id = $1', [journey.connection_id])
    expect(rows).toEqual([])
  },
)

test('[P5] what a provider says of a failure reaches neither browser, audit nor log', async ({ broker }) => {
  const provider = await openProvider(broker)
  const canary = 'description-canary-of-the-provider'
  provider.next('token', answers.oauthError('invalid_grant', { description: canary }))
  const journey = await travel(broker, provider)
  const arrival = await arrive(journey)
  expect(arrival.location?.href).not.toContain(canary)
  expect((await broker.get(`/audit?connection_id=${journey.connection_id}`)).text).not.toContain(canary)
  expect(broker.logs.text()).not.toContain(canary)
  // its registered code does, for whoever has to mend it
  const { text } = await broker.get(`/audit?connection_id=${journey.connection_id}&event_type=token_exchange_failed`)
  expect(JSON.parse(text).events[0].data).toMatchObject({ error: 'invalid_grant', status: 400 })
})

test('parameters of the profile go where they belong, and scopes are joined as it says', async ({ broker }) => {
  const { provider, sent } = await connect(broker, {
    profile: (issuer) => ({
      ...staticEndpoints(issuer),
      scopes: ['read', 'write'],
      scope_separator: ',',
      params: { access_type: 'offline', prompt: 'consent', token_params: { audience: 'api' } },
    }),
  })
  const asked = provider.requestsTo('authorize')[0]?.query
  expect(Object.fromEntries(asked ?? [])).toMatchObject({
    access_type: 'offline',
    prompt: 'consent',
    scope: 'read,write',
    response_type: 'code',
  })
  expect(asked?.has('audience')).toBe(false)
  expect(sent?.get('audience')).toBe('api')
  expect(sent?.has('access_type')).toBe(false)
  expect(sent?.has('scope')).toBe(false)
})

test('skip_scope_on_auth leaves the scope out, and skip_scope_on_exchange false sends it', async ({ broker }) => {
  const skipping = await connect(broker, {
    profile: (issuer) => ({ ...staticEndpoints(issuer), params: { skip_scope_on_auth: true } }),
  })
  expect(skipping.provider.requestsTo('authorize')[0]?.query.has('scope')).toBe(false)
  const repeating = await connect(broker, {
    profile: (issuer) => ({ ...staticEndpoints(issuer), params: { skip_scope_on_exchange: false } }),
  })
  expect(repeating.sent?.get('scope')).toBe('read')
})

test('scopes: those granted are kept, those asked where the answer names none', async ({ broker }) => {
  const narrower = await connect(broker, {
    profile: (issuer) => ({ ...staticEndpoints(issuer), scopes: ['read', 'write'] }),
    provider: { behaviour: { token: { scope: 'read' } } },
  })
  expect(narrower.payload.scope).toBe('read')
  expect(await connectionOf(broker, narrower.connection_id)).toMatchObject({
    scopes: ['read', 'write'],
    granted_scopes: ['read'],
  })

  const silent = await connect(
    broker,
    {
      profile: (issuer) => ({ ...staticEndpoints(issuer), scopes: ['read', 'write'] }),
      provider: { behaviour: { token: { extra: { scope: undefined } } } },
    },
    { scopes: ['write'] },
  )
  // RFC 6749 §5.1: no scope in the answer means the scope asked for
  expect(silent.payload.scope).toBe('write')
  expect(await connectionOf(broker, silent.connection_id)).toMatchObject({ granted_scopes: ['write'] })
})

test('[V5] fields and parameters that the profile keeps stand under extra, and no others', async ({ broker }) => {
  const { payload } = await connect(broker, {
    profile: { keep_token_fields: ['instance_url', 'team'], keep_callback_params: ['realmId'] },
    provider: {
      behaviour: {
        authorization: { extra: { realmId: '4620816365', other: 'left-out' } },
        token: { extra: { instance_url: 'https://eu7.example', team: { id: 7, bot_token: 'hidden' }, more: 1 } },
      },
    },
  })
  expect(payload).toMatchObject({
    extra: { instance_url: 'https://eu7.example', team: { id: 7 }, realmId: '4620816365' },
  })
  expect(JSON.stringify(payload)).not.toMatch(/left-out|hidden|more|refresh/)
  expect(payload).not.toHaveProperty('id_token')
})

test('the ID token is handed out only where the profile exposes it', async ({ broker }) => {
  const { payload } = await connect(broker, { profile: { expose_id_token: true } })
  expect(payload).toHaveProperty('id_token', expect.stringMatching(/^[\w-]+\.[\w-]+\.[\w-]+$/))
})

test.for([
  ['a number', 7200, 7200],
  ['a numeric string', '7200', 7200],
] as const)('[P3] expires_in may be %s', async ([, expires_in, seconds], { broker }) => {
  const { payload } = await connect(broker, { provider: { behaviour: { token: { extra: { expires_in } } } } })
  expect(payload).toMatchObject({ expires_in: expect.closeTo(seconds, -1) })
})

test('without expires_in the profile’s default counts, and without one the token never expires', async ({ broker }) => {
  const provider = { behaviour: { token: { lifetimeSeconds: null } } }
  const never = await connect(broker, { provider })
  expect(never.payload).toMatchObject({ expires_in: null, expires_at: null })
  const byDefault = await connect(broker, { provider, profile: { default_expires_in: 900 } })
  expect(byDefault.payload).toMatchObject({ expires_in: expect.closeTo(900, -1) })
})
