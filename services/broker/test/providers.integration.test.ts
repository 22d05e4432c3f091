import type { ProviderProfile } from '@nexus/contracts'
import { expect } from 'vitest'
import { test } from './handshake-scene.ts'
import { changeProfile, createProfile, profile } from './provider-profiles.ts'

type Created = { readonly id: string; readonly message: string; readonly redirect_uri: string }

test('a profile is created bare or wrapped, and says which redirect URI to register', async ({ broker }) => {
  for (const wrap of [(fields: object) => fields, (fields: object) => ({ profile: fields })]) {
    const fields = profile()
    const { status, body } = await broker.post<Created>('/providers', wrap(fields))
    const redirectUri = `${broker.url}/auth/callback/${fields.name}`
    expect(status).toBe(201)
    expect(body).toEqual({ id: expect.any(String), message: expect.any(String), redirect_uri: redirectUri })
    expect(body.message).toContain(redirectUri)
  }
})

test('a profile answers with its defaults filled in, and no secret', async ({ broker }) => {
  const created = await createProfile(broker, { description: 'For tests', category: 'crm' })
  expect(created).toMatchObject({
    description: 'For tests',
    category: 'crm',
    auth_type: 'oauth2',
    enable_discovery: false,
    aliases: [],
    zones: [],
    scopes: ['read'],
    scope_separator: ' ',
    enforce_scopes: true,
    has_client_secret: true,
    pkce: 'required',
    distinct_redirect_uri: true,
    redirect_uri: `${broker.url}/auth/callback/${created.name}`,
    expose_id_token: false,
    revision: 1,
  })
})

test('[V5] no answer ever has a client_secret', async ({ broker }) => {
  const created = await createProfile(broker, { client_secret: 'planted-client-secret' })
  const { id, name } = created
  const answers = [
    await broker.get(`/providers/${id}`),
    await broker.get('/providers'),
    await broker.get('/providers/metadata'),
    await broker.get(`/providers/by-name/${name}`),
    await changeProfile(broker, 'PATCH', id, { client_secret: 'planted-client-secret-2' }),
    await changeProfile(broker, 'PUT', id, profile({ name, client_secret: 'planted-client-secret-3' })),
    await broker.send('PUT', `/providers/${id}/aliases/${name}-alias`),
    await broker.post('/providers', profile({ name, client_secret: 'planted-client-secret-4' })),
    await changeProfile(broker, 'PATCH', id, { client_secret: ['planted-client-secret-5'] }),
    await broker.get('/audit?limit=200'),
  ]
  for (const { text } of answers) {
    expect(text).not.toMatch(/"client_secret":/)
    expect(text).not.toContain('planted-client-secret')
  }
})

test('lists and metadata know the living', async ({ broker }) => {
  const { id, name } = await createProfile(broker, {
    api_base_url: 'http://127.0.0.1:9/api',
    user_info_endpoint: 'http://127.0.0.1:9/me',
    category: 'crm',
  })
  expect((await broker.get('/providers')).body).toContainEqual({ id, name })
  const { body } = await broker.get<Record<string, Record<string, unknown>>>('/providers/metadata')
  expect(body['oauth2']?.[name]).toEqual({
    id,
    api_base_url: 'http://127.0.0.1:9/api',
    user_info_endpoint: 'http://127.0.0.1:9/me',
    scopes: ['read'],
    description: null,
    category: 'crm',
  })
  await broker.send('DELETE', `/providers/${id}`)
  expect((await broker.get('/providers')).text).not.toContain(name)
  expect((await broker.get('/providers/metadata')).text).not.toContain(name)
})

test('a profile is found by its name and aliases, whatever their case', async ({ broker }) => {
  const { id, name } = await createProfile(broker, { aliases: ['  CRM of Acme ', 'Éclair'] })
  for (const spelling of [name, name.toUpperCase(), 'crm of acme', 'CRM OF ACME', 'éclair', 'ÉCLAIR', 'E\u0301clair']) {
    const { status, body } = await broker.get<ProviderProfile>(`/providers/by-name/${encodeURIComponent(spelling)}`)
    expect({ status, id: body.id }, spelling).toEqual({ status: 200, id })
  }
  const missing = await broker.get('/providers/by-name/nobody')
  expect(missing).toMatchObject({ status: 404, body: { code: 'provider_not_found' } })
})

test('aliases come and go one by one', async ({ broker }) => {
  const { id, name } = await createProfile(broker)
  const alias = (method: string, text: string) =>
    broker.send<ProviderProfile>(method, `/providers/${id}/aliases/${encodeURIComponent(text)}`)
  expect((await alias('PUT', `${name} B`)).body.aliases).toEqual([`${name} b`])
  expect((await alias('PUT', `${name} a`)).body.aliases).toEqual([`${name} a`, `${name} b`])
  expect((await alias('PUT', `${name} A`)).body.aliases, 'a second time').toEqual([`${name} a`, `${name} b`])
  expect((await alias('DELETE', `${name} B`)).body.aliases).toEqual([`${name} a`])
  expect((await alias('DELETE', 'never there')).status).toBe(200)
  expect((await alias('PUT', '  ')).status, 'a blank one').toBe(422)
  expect((await broker.get(`/providers/by-name/${encodeURIComponent(`${name} b`)}`)).status).toBe(404)
})

test('aliases that are added at once are all there afterwards', async ({ broker }) => {
  const { id } = await createProfile(broker)
  const wanted = Array.from({ length: 6 }, (_, n) => `alias-number-${n}`)
  const answers = await Promise.all(wanted.map((alias) => broker.send('PUT', `/providers/${id}/aliases/${alias}`)))
  expect(answers.map(({ status }) => status)).toEqual(wanted.map(() => 200))
  expect((await broker.get<ProviderProfile>(`/providers/${id}`)).body.aliases).toEqual(wanted)
})

test('names and aliases are one space: whatever is taken is 409, and nothing changes', async ({ broker }) => {
  const first = await createProfile(broker, { aliases: ['taken-alias'] })
  const second = await createProfile(broker, { aliases: ['own-alias'] })
  const conflicts = [
    await broker.post('/providers', profile({ name: first.name })),
    await broker.post('/providers', profile({ name: 'taken-alias' })),
    await broker.post('/providers', profile({ aliases: [first.name.toUpperCase()] })),
    await broker.post('/providers', profile({ aliases: ['TAKEN-alias'] })),
    await changeProfile(broker, 'PATCH', second.id, { name: first.name }),
    await changeProfile(broker, 'PATCH', second.id, { name: 'taken-alias' }),
    await changeProfile(broker, 'PATCH', second.id, { aliases: ['fresh', 'Taken-Alias'] }),
    await broker.send('PUT', `/providers/${second.id}/aliases/${first.name}`),
  ]
  for (const answer of conflicts) {
    expect(answer).toMatchObject({ status: 409, body: { code: 'provider_exists' } })
  }
  expect((await broker.get(`/providers/${second.id}`)).body).toEqual(second)
})

test('of profiles that are created at once under one name, one comes to be', async ({ broker }) => {
  const { name } = profile()
  const bodies = Array.from({ length: 8 }, (_, n) => profile(n % 2 === 0 ? { name } : { aliases: [name] }))
  const statuses = await Promise.all(bodies.map(async (body) => (await broker.post('/providers', body)).status))
  expect(statuses.toSorted((a, b) => a - b)).toEqual([201, ...Array.from({ length: 7 }, () => 409)])
})

test('what does not exist is 404 whatever is asked of it', async ({ broker }) => {
  const id = '019ab000-0000-7000-8000-00000000dead'
  const answers = [
    await broker.get(`/providers/${id}`),
    await changeProfile(broker, 'PUT', id, profile()),
    await changeProfile(broker, 'PATCH', id, { description: 'x' }),
    await broker.send('DELETE', `/providers/${id}`),
    await broker.send('DELETE', '/providers/by-name/nobody'),
    await broker.send('PUT', `/providers/${id}/aliases/x`),
    await broker.send('DELETE', `/providers/${id}/aliases/x`),
  ]
  for (const answer of answers) expect(answer).toMatchObject({ status: 404, body: { code: 'provider_not_found' } })
})
