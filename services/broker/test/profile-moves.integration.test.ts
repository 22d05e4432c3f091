import { createBrowser } from '@nexus/testing'
import { test } from '@nexus/testing/vitest'
import { expect, onTestFinished } from 'vitest'
import { waitForBlocked, whileLocked } from './database-tools.ts'
import { isApp, requestConnection, startRegisteredProvider, startTestBroker } from './harness.ts'

test('[A3] once accounts are connected, their tokens cannot be sent to another origin by editing the profile', async ({
  database,
}) => {
  await using broker = await startTestBroker(database)
  await using provider = await startRegisteredProvider(broker)
  const path = `/providers/${provider.providerId}`
  const stolen = { issuer: null, auth_url: 'http://127.0.0.1:9/a', token_url: 'http://127.0.0.1:9/t', scopes: ['read'] }

  // before the first account, a profile may still be put right
  expect((await broker.send('PATCH', path, { body: { description: 'ours' } })).status).toBe(200)
  const { authUrl } = await requestConnection(broker)
  await createBrowser().open(authUrl, { stopAt: isApp })

  const moved = await broker.send('PATCH', path, { body: stolen })
  expect(moved.status).toBe(422)
  expect(moved.body).toMatchObject({ code: 'invalid_profile', details: { field: 'token_url' } })
  const issuer = await broker.send('PATCH', path, { body: { issuer: 'http://127.0.0.1:9' } })
  expect(issuer.body).toMatchObject({ code: 'invalid_profile', details: { field: 'issuer' } })

  const harmless = await broker.send('PATCH', path, {
    body: { scopes: ['openid', 'read', 'write'], description: null },
  })
  expect(harmless.status).toBe(200)
  const audit = await broker.get<{ events: { data: unknown }[] }>('/audit?event_type=provider.updated&limit=1')
  expect(audit.body.events[0]?.data).toEqual({ name: 'scripted', fields: ['description', 'scopes'] })
})

test('[V5] a stored client secret does not follow a profile to another origin: it must be given again', async ({
  database,
}) => {
  await using broker = await startTestBroker(database)
  await using provider = await startRegisteredProvider(broker, { name: 'movable' })
  const path = `/providers/${provider.providerId}`
  const elsewhere = {
    issuer: null,
    auth_url: 'http://127.0.0.1:9/a',
    token_url: 'http://127.0.0.1:9/t',
    scopes: ['read'],
    distinct_redirect_uri: true,
  }

  const taken = await broker.send('PATCH', path, { body: elsewhere })
  expect(taken).toMatchObject({ status: 422, body: { code: 'invalid_profile', details: { field: 'client_secret' } } })
  const replaced = await broker.send('PUT', path, {
    body: { ...elsewhere, name: 'movable', client_id: 'x', issuer: undefined },
  })
  expect(replaced.body).toMatchObject({ code: 'invalid_profile', details: { field: 'client_secret' } })

  const own = { ...elsewhere, client_secret: 'known-to-whoever-moves-it' }
  expect((await broker.send('PATCH', path, { body: own })).status).toBe(200)
  expect((await broker.send('PATCH', path, { body: { token_url: 'http://127.0.0.1:9/other-path' } })).status).toBe(200)
})

test('[V5] a change that names a revision which is yet to come takes no secret of that revision along', async ({
  database,
}) => {
  const { pool } = database
  await using broker = await startTestBroker(database)
  await using provider = await startRegisteredProvider(broker, { name: 'overtaken' })
  const path = `/providers/${provider.providerId}`
  const profile = () => broker.get<{ revision: number; issuer: string }>(path)
  const { revision, issuer } = (await profile()).body
  // it has read the profile as it was, and waits for its turn; meanwhile somebody puts it right
  const saving = "select pg_advisory_xact_lock(hashtext('nexus:provider-profiles'))"
  const late = await whileLocked(pool, saving, async () => {
    const changing = broker.send('PATCH', path, { body: { description: 'late', revision: revision + 1 } })
    await Promise.race([waitForBlocked(pool), changing])
    await pool.query(
      `update provider_profiles
          set revision = revision + 1, settings = jsonb_set(settings::jsonb, '{issuer}', '"http://127.0.0.1:9"')::json where id = $1`,
      [provider.providerId],
    )
    return { changing }
  })
  expect(await late.changing).toMatchObject({ status: 409, body: { code: 'revision_conflict' } })
  expect((await profile()).body).toMatchObject({ revision: revision + 1, issuer: 'http://127.0.0.1:9' })
  expect(issuer).not.toBe('http://127.0.0.1:9')
})

test('[P6] tokens that are still to be revoked do not follow a profile to another origin', async ({ database }) => {
  await using broker = await startTestBroker(database)
  await using provider = await startRegisteredProvider(broker, { name: 'owing' })
  await database.pool.query(
    `insert into revocations (id, connection_id, provider_id, zone, tokens, key_id, next_attempt_at)
     values (gen_random_uuid(), gen_random_uuid(), $1, 'root', '\\x00', '\\x00', now() + interval '1 hour')`,
    [provider.providerId],
  )
  // no Broker has its key
  onTestFinished(async () => void (await database.pool.query('delete from revocations')))
  const body = { issuer: 'http://127.0.0.1:9', client_secret: 'another' }
  const moved = await broker.send('PATCH', `/providers/${provider.providerId}`, { body })
  expect(moved.body).toMatchObject({ code: 'invalid_profile', details: { field: 'issuer' } })
})

test('an id is the same in whatever case it is written', async ({ database }) => {
  await using broker = await startTestBroker(database)
  await using _provider = await startRegisteredProvider(broker, { name: 'cased' })
  const { authUrl, connection_id } = await requestConnection(broker, { provider_name: 'cased' })
  await createBrowser().open(authUrl, { stopAt: isApp })
  const id = connection_id.toUpperCase()

  expect((await broker.get(`/connections/${id}`)).status).toBe(200)
  expect((await broker.get(`/connections/${id}/token`)).status).toBe(200)
  expect((await broker.post(`/connections/${id}/refresh`)).status).toBe(200)
})

test('[H5] without PKCE and without a path of its own, openid must be asked for each time', async ({ database }) => {
  await using broker = await startTestBroker(database)
  const profile = { pkce: 'disabled', distinct_redirect_uri: false, scopes: ['openid', 'read'] }
  await using _provider = await startRegisteredProvider(broker, { name: 'old-style', profile })

  const spec = { workspace_id: 'u', provider_name: 'old-style' }
  expect((await broker.post('/auth/consent-spec', { ...spec, scopes: ['read'] })).body).toMatchObject({
    code: 'scope_not_allowed',
    details: { scopes: ['openid'] },
  })
  expect((await broker.post('/auth/consent-spec', spec)).status).toBe(200)
})

test('metadata comes back as it went in, however its numbers are written', async ({ database }) => {
  await using broker = await startTestBroker(database)
  await using _provider = await startRegisteredProvider(broker, { name: 'numbers' })
  const metadata = { big: 1e300, nested: [[1e300]], text: 'ü' }
  const { connection_id } = await requestConnection(broker, { provider_name: 'numbers', metadata })
  const answer = await broker.get<{ metadata: unknown }>(`/connections/${connection_id}`)
  expect(answer.body.metadata).toEqual(metadata)
  expect(answer.text.length).toBeLessThan(2_000)
})
