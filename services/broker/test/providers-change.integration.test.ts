import { answers } from '@nexus/testing'
import { expect } from 'vitest'
import { connect } from './connection-scene.ts'
import { setSecondsLeft } from './database-tools.ts'
import { clientSecret, readToken, requestConnection } from './harness.ts'
import { connectionOf, openProvider, staticEndpoints, test } from './handshake-scene.ts'
import { changeProfile, createProfile, profile, readProfile } from './provider-profiles.ts'

test('PUT replaces a profile: what it leaves out is back at its default, the secret is kept', async ({ broker }) => {
  const { id, name } = await createProfile(broker, { description: 'first', category: 'crm', scopes: ['read', 'write'] })
  const { status, body } = await changeProfile(broker, 'PUT', id, {
    ...profile({ name, scopes: undefined, client_secret: undefined }),
    category: 'erp',
  })
  expect(status).toBe(200)
  expect(body).toMatchObject({ id, name, category: 'erp', scopes: [], has_client_secret: true, revision: 2 })
  expect(body).not.toHaveProperty('description')
  expect(await readProfile(broker, id)).toEqual(body)
})

test('the secret that PUT keeps still works, and the one that PATCH brings does too', async ({ broker, database }) => {
  const provider = await openProvider(broker, { profile: { scopes: ['read'] } })
  const id = await connect(broker, provider)
  const { issuer, providerId, name } = provider
  await changeProfile(broker, 'PUT', providerId, {
    name,
    client_id: 'nexus-test',
    ...staticEndpoints(issuer),
    scopes: ['read'],
  })
  await setSecondsLeft(database.pool, id, -1)
  expect((await readToken(broker, id)).status).toBe(200)

  const changed = `${clientSecret}-changed`
  await changeProfile(broker, 'PATCH', providerId, { client_secret: changed })
  provider.addClient({ clientId: 'nexus-test', clientSecret: changed, redirectUris: [] })
  await setSecondsLeft(database.pool, id, -1)
  expect((await readToken(broker, id)).status).toBe(200)
  expect(provider.violations).toEqual([])
})

test('PATCH changes what it names, and null takes a field back to its default', async ({ broker }) => {
  const before = await createProfile(broker, {
    description: 'first',
    enforce_scopes: false,
    params: { prompt: 'login' },
  })
  const patched = await changeProfile(broker, 'PATCH', before.id, { category: 'crm', enforce_scopes: null })
  const { updated_at } = patched.body
  expect(patched.body).toEqual({ ...before, category: 'crm', enforce_scopes: true, revision: 2, updated_at })
  const emptied = await changeProfile(broker, 'PATCH', before.id, { description: null, params: null, scopes: null })
  expect(emptied.body).toMatchObject({ scopes: [], params: { skip_scope_on_auth: false } })
  expect(emptied.body).not.toHaveProperty('description')
  expect(emptied.body.params).not.toHaveProperty('prompt')

  expect((await changeProfile(broker, 'PATCH', before.id, { client_secret: null })).body.has_client_secret).toBe(false)
  expect((await changeProfile(broker, 'PATCH', before.id, {})).body.has_client_secret).toBe(false)
})

test('a change of a revision that is no longer current is refused, and nothing of it stays', async ({ broker }) => {
  const { id, name } = await createProfile(broker)
  await changeProfile(broker, 'PATCH', id, { category: 'one' })
  for (const refused of [
    await changeProfile(broker, 'PATCH', id, { category: 'two', revision: 1 }),
    await changeProfile(broker, 'PUT', id, profile({ name, category: 'two', client_secret: 'two', revision: 1 })),
    await changeProfile(broker, 'PATCH', id, { category: 'two', revision: 3 }),
  ]) {
    expect(refused).toMatchObject({ status: 409, body: { code: 'revision_conflict' } })
  }
  expect(await readProfile(broker, id)).toMatchObject({ category: 'one', revision: 2 })
  expect((await changeProfile(broker, 'PATCH', id, { category: 'two', revision: 2 })).body.category).toBe('two')
})

test('changes made at once lose nothing: all stand, or are told that they do not', async ({ broker }) => {
  const { id } = await createProfile(broker)
  const fields = {
    description: 'd',
    category: 'c',
    enforce_scopes: false,
    expose_id_token: true,
    default_expires_in: 9,
  }
  const patches = Object.entries(fields).map(([name, value]) => ({ [name]: value }))
  const free = await Promise.all(patches.map((patch) => changeProfile(broker, 'PATCH', id, patch)))
  expect(free.map(({ status }) => status)).toEqual(patches.map(() => 200))
  expect(await readProfile(broker, id)).toMatchObject({ ...fields, revision: 1 + patches.length })

  const { revision } = await readProfile(broker, id)
  const bound = await Promise.all(
    Array.from({ length: 6 }, (_, n) => changeProfile(broker, 'PATCH', id, { category: `number-${n}`, revision })),
  )
  const winner = bound.findIndex(({ status }) => status === 200)
  expect(bound.map(({ status }) => status).toSorted((a, b) => a - b)).toEqual([
    200,
    ...Array.from({ length: 5 }, () => 409),
  ])
  expect(await readProfile(broker, id)).toMatchObject({ category: `number-${winner}`, revision: revision + 1 })
})

test('a name can change until an account is connected', async ({ broker }) => {
  const provider = await openProvider(broker, { profile: { distinct_redirect_uri: true } })
  await requestConnection(broker, { provider_name: provider.name })
  const renamed = `${provider.name}-renamed`
  const first = await changeProfile(broker, 'PATCH', provider.providerId, { name: renamed })
  expect(first.body).toMatchObject({ name: renamed, redirect_uri: `${broker.url}/auth/callback/${renamed}` })

  provider.addClient({ clientId: 'nexus-test', clientSecret, redirectUris: [first.body.redirect_uri ?? ''] })
  await connect(broker, { name: renamed })
  const refused = await changeProfile(broker, 'PATCH', provider.providerId, { name: 'too-late', category: 'x' })
  expect(refused).toMatchObject({ status: 422, body: { code: 'invalid_profile', details: { field: 'name' } } })
  const after = await readProfile(broker, provider.providerId)
  expect(after.name).toBe(renamed)
  expect(after, 'nothing of the refused change').not.toHaveProperty('category')
})

test('a deleted profile frees its names, starts nothing, and its connections keep working', async ({
  broker,
  database,
}) => {
  const provider = await openProvider(broker, { profile: { aliases: ['freed-alias'] } })
  const id = await connect(broker, provider)
  const waiting = await requestConnection(broker, { provider_name: provider.name })
  expect(await broker.send('DELETE', `/providers/${provider.providerId}`)).toMatchObject({ status: 204, text: '' })

  expect((await broker.get(`/providers/${provider.providerId}`)).status).toBe(404)
  expect((await broker.get('/providers/by-name/freed-alias')).status).toBe(404)
  expect((await broker.send('DELETE', `/providers/${provider.providerId}`)).status).toBe(404)
  const refused = await broker.post('/auth/consent-spec', { workspace_id: 'u', provider_name: provider.name })
  expect(refused).toMatchObject({ status: 404, body: { code: 'provider_not_found' } })
  expect((await broker.get(new URL(waiting.authUrl).pathname)).status, 'its links open no more').toBe(410)

  await setSecondsLeft(database.pool, id, -1)
  expect(await readToken(broker, id)).toMatchObject({ status: 200, body: { provider: provider.name } })
  expect(provider.counts().refreshRequests).toBe(1)
  expect(await connectionOf(broker, id)).toMatchObject({ status: 'active', provider: provider.name })

  const successor = await createProfile(broker, { name: provider.name, aliases: ['freed-alias'] })
  expect(successor.id).not.toBe(provider.providerId)
})

test('a profile is deleted by an alias too', async ({ broker }) => {
  const { id } = await createProfile(broker, { aliases: ['Doomed Alias'] })
  expect((await broker.send('DELETE', '/providers/by-name/doomed%20ALIAS')).status).toBe(204)
  expect((await broker.get(`/providers/${id}`)).status).toBe(404)
})

test('a default is decided anew when the field is taken back, by the metadata of that moment', async ({ broker }) => {
  const provider = await openProvider(broker)
  expect(await readProfile(broker, provider.providerId)).toMatchObject({ distinct_redirect_uri: false })
  const set = await changeProfile(broker, 'PATCH', provider.providerId, { distinct_redirect_uri: true })
  expect(set.body.redirect_uri).toMatch(new RegExp(`/${provider.name}$`))
  const kept = await changeProfile(broker, 'PATCH', provider.providerId, { category: 'x' })
  expect(kept.body.distinct_redirect_uri).toBe(true)
  const back = await changeProfile(broker, 'PATCH', provider.providerId, { distinct_redirect_uri: null })
  expect(back.body).toMatchObject({ distinct_redirect_uri: false, redirect_uri: `${broker.url}/auth/callback` })
})

test('a profile whose issuer cannot be asked is saved with a path of its own, and the operator is told', async ({
  broker,
}) => {
  const provider = await openProvider(broker)
  provider.always('discovery', answers.serverError())
  const { issuer } = provider
  const { name } = profile()
  const { status, body } = await broker.post<{ message: string; redirect_uri: string }>('/providers', {
    name,
    issuer: `${issuer}/elsewhere`,
    client_id: 'x',
  })
  expect(status).toBe(201)
  expect(body.message).toContain('metadata could not be read')
  expect(body.redirect_uri).toBe(`${broker.url}/auth/callback/${name}`)
})
