import { createBrowser } from '@nexus/testing'
import { expect } from 'vitest'
import { openConnection, openPlainConnection } from './connection-scene.ts'
import { isApp, readToken, requestConnection } from './harness.ts'
import { openProvider, test } from './handshake-scene.ts'

test('the payload is exactly the one of the contract', async ({ broker }) => {
  const { provider, id } = await openPlainConnection(broker)
  const { status, body, headers } = await readToken(broker, id)
  expect(status).toBe(200)
  expect(headers.get('cache-control')).toBe('no-store')
  const expiresAt = expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$/)
  const accessToken = provider.secrets().find((secret) => secret.startsWith('access-'))
  const fields = { access_token: accessToken, token_type: 'Bearer', scope: 'read', expires_at: expiresAt }
  expect(body).toStrictEqual({
    strategy: { type: 'oauth2' },
    credentials: fields,
    ...fields,
    expires_in: expect.any(Number),
    provider: provider.name,
    provider_id: provider.providerId,
  })
  expect(body.credentials.expires_at).toBe(body.expires_at)
  expect(body.expires_in).toBeGreaterThan(3590)
  expect(body.expires_in).toBeLessThanOrEqual(3600)
  const left = Date.parse(body.expires_at ?? '') - Date.now()
  expect(Math.abs(left / 1000 - (body.expires_in ?? 0))).toBeLessThan(5)
})

test('[V5] no answer carries a refresh token, nor an ID token unless the profile exposes it', async ({ broker }) => {
  const { provider, id } = await openConnection(broker)
  const { text, body } = await readToken(broker, id)
  expect(body).not.toHaveProperty('id_token')
  const connection = await broker.get(`/connections/${id}`)
  const refreshed = await broker.post(`/connections/${id}/refresh`)
  expect(refreshed.status).toBe(200)
  const refreshTokens = provider.secrets().filter((secret) => secret.startsWith('refresh-'))
  expect(refreshTokens).toHaveLength(2)
  for (const secret of refreshTokens) {
    for (const answer of [text, connection.text, refreshed.text]) expect(answer).not.toContain(secret)
  }
})

test('an ID token is included where the profile exposes it', async ({ broker }) => {
  const { id } = await openConnection(broker, { profile: { expose_id_token: true } })
  const { body } = await readToken(broker, id)
  expect(body.id_token).toMatch(/^ey.+\..+\..+$/)
  expect(body.credentials.id_token).toBe(body.id_token)
})

test('fields that the profile keeps stand under extra, those named like secrets do not', async ({ broker }) => {
  const extra = { instance_url: 'https://na1.example.com', device_secret: 'hidden' }
  const { id } = await openPlainConnection(broker, { extra }, { keep_token_fields: ['instance_url'] })
  const { body, text } = await readToken(broker, id)
  expect(body.extra).toEqual({ instance_url: 'https://na1.example.com' })
  expect(text).not.toContain('hidden')
})

test('a scope that the provider does not repeat is the one that was asked for', async ({ broker }) => {
  const provider = await openProvider(broker, { profile: { scopes: ['read', 'write'] } })
  provider.behave({ token: { extra: { scope: undefined } } })
  const { authUrl, connection_id } = await requestConnection(broker, {
    provider_name: provider.name,
    scopes: ['read'],
  })
  await createBrowser().open(authUrl, { stopAt: isApp })
  expect((await readToken(broker, connection_id)).body).toMatchObject({ scope: 'read' })
})

test('a token without a lifetime never expires, unless the profile knows better', async ({ broker }) => {
  const endless = await openPlainConnection(broker, { lifetimeSeconds: null })
  const { body } = await readToken(broker, endless.id)
  expect(body).toMatchObject({ expires_at: null, expires_in: null, credentials: { expires_at: null } })

  const assumed = await openPlainConnection(broker, { lifetimeSeconds: null }, { default_expires_in: 900 })
  const { expires_in } = (await readToken(broker, assumed.id)).body
  expect(expires_in).toBeGreaterThan(890)
  expect(expires_in).toBeLessThanOrEqual(900)
})

test('what is not active says what it is', async ({ broker, database }) => {
  const provider = await openProvider(broker)
  const { connection_id: id } = await requestConnection(broker, { provider_name: provider.name })
  const refusal = async (status: string) => {
    await database.pool.query('update connections set status = $2 where id = $1', [id, status])
    return [await readToken(broker, id), await broker.post(`/connections/${id}/refresh`)]
  }
  for (const status of ['pending', 'failed', 'expired', 'revoked']) {
    for (const answer of await refusal(status)) {
      expect(answer).toMatchObject({ status: 409, body: { code: 'connection_not_active', details: { status } } })
    }
  }
  await database.pool.query(`update connections set status_reason = 'invalid_grant' where id = $1`, [id])
  for (const answer of await refusal('attention_required')) {
    expect(answer).toMatchObject({
      status: 409,
      body: { code: 'attention_required', details: { reason: 'invalid_grant' } },
    })
  }
})

test('an unknown connection is 404 on every route that takes an id', async ({ broker }) => {
  const id = '019ab000-0000-7000-8000-00000000dead'
  const answers = [
    await readToken(broker, id),
    await broker.post(`/connections/${id}/refresh`),
    await broker.get(`/connections/${id}`),
  ]
  for (const answer of answers) {
    expect(answer).toMatchObject({ status: 404, body: { code: 'connection_not_found' } })
    expect(answer.headers.get('cache-control')).toBe('no-store')
  }
})

test('last_used_at tells of the latest read, and is written aside', async ({ broker }) => {
  const { id } = await openPlainConnection(broker)
  expect((await broker.get<{ last_used_at: string | null }>(`/connections/${id}`)).body.last_used_at).toBeNull()
  await readToken(broker, id)
  await expect
    .poll(async () => (await broker.get<{ last_used_at: string | null }>(`/connections/${id}`)).body.last_used_at, {
      timeout: 10_000,
    })
    .not.toBeNull()
})
