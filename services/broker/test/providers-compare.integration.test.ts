import type { AuditEventBody, ProviderPreview } from '@nexus/contracts'
import { expect } from 'vitest'
import { connect } from './connection-scene.ts'
import { checksumTables, earlyInTheMinute } from './database-tools.ts'
import { type Client, startTestBroker } from './harness.ts'
import { openProvider, test } from './handshake-scene.ts'
import { changeProfile, createProfile, profile, readProfile } from './provider-profiles.ts'

type Matches = { readonly client_secret_matches: boolean }

const unknownId = '019ab000-0000-7000-8000-00000000dead'

function compare(broker: Client, id: string, candidate: string, key?: string) {
  const sent = key === undefined ? {} : { key }
  return broker.post<Matches>(`/providers/${id}/client-secret-matches`, { client_secret: candidate }, sent)
}

function preview(broker: Client, wanted: Readonly<Record<string, unknown>>) {
  return broker.post<ProviderPreview>('/providers/preview', wanted)
}

async function comparisonsOf(broker: Client, id: string): Promise<readonly AuditEventBody[]> {
  const { body } = await broker.get<{ events: AuditEventBody[] }>('/audit?limit=200')
  return body.events.filter(({ event, provider_id: of }) => event === 'provider.secret_compared' && of === id)
}

test('[V5] a secret is compared without being read back, and each comparison is on record without it', async ({
  broker,
}) => {
  const { id, name } = await createProfile(broker, { client_secret: 'the-one-that-is-stored' })
  for (const [candidate, matches] of [
    ['the-one-that-is-stored', true],
    ['the-one-that-is-Stored', false],
    ['the-one-that-is-stored ', false],
    ['t', false],
  ] as const) {
    const { status, text } = await compare(broker, id, candidate)
    expect({ status, text }, candidate).toEqual({ status: 200, text: `{"client_secret_matches":${matches}}` })
  }
  const events = await comparisonsOf(broker, id)
  expect(events.map(({ outcome }) => outcome).toSorted()).toEqual(['differs', 'differs', 'differs', 'matches'])
  expect(events[0]).toMatchObject({ actor_kind: 'operator', provider_id: id, data: { name } })
  expect(JSON.stringify(events)).not.toMatch(/the-one-that-is/i)

  await changeProfile(broker, 'PATCH', id, { client_secret: 'another' })
  expect((await compare(broker, id, 'the-one-that-is-stored')).body.client_secret_matches).toBe(false)
  expect((await compare(broker, id, 'another')).body.client_secret_matches).toBe(true)
})

test('a profile without a secret matches none, and one that is gone is not there', async ({ broker }) => {
  const open = await createProfile(broker, { client_secret: undefined, auth_header: 'none' })
  expect((await compare(broker, open.id, 'anything')).body).toEqual({ client_secret_matches: false })
  const typed = await broker.post<{ id: string }>('/providers', { name: 'typed-in', auth_type: 'api_key' })
  expect((await compare(broker, typed.body.id, 'anything')).body).toEqual({ client_secret_matches: false })

  const { id } = await createProfile(broker)
  await broker.send('DELETE', `/providers/${id}`)
  for (const gone of [id, unknownId]) {
    expect(await compare(broker, gone, 'secret-of-acme')).toMatchObject({
      status: 404,
      body: { code: 'provider_not_found' },
    })
  }
})

test('[C2] the key of a Gateway may not compare and not preview', async ({ broker }) => {
  const { id } = await createProfile(broker)
  const refused = { status: 403, body: { code: 'forbidden' } }
  expect(await compare(broker, id, 'secret-of-acme', broker.keys.API_KEY)).toMatchObject(refused)
  expect(await broker.post('/providers/preview', profile(), { key: broker.keys.API_KEY })).toMatchObject(refused)
  expect(await comparisonsOf(broker, id)).toEqual([])
})

test('[C6] nobody guesses a secret: after twenty candidates in a minute a profile answers no more', async ({
  broker,
  database,
}) => {
  const { id } = await createProfile(broker)
  const other = await createProfile(broker)
  await using second = await startTestBroker(database)
  await earlyInTheMinute()
  const statuses: number[] = []
  for (let n = 0; n < 20; n++) statuses.push((await compare(second, id, `guess-${n}`)).status)
  expect(statuses).toEqual(Array.from({ length: 20 }, () => 200))

  const refused = await compare(second, id, 'secret-of-acme')
  expect(refused).toMatchObject({ status: 429, body: { code: 'rate_limited' } })
  expect(Number(refused.headers.get('retry-after'))).toBeGreaterThanOrEqual(1)
  expect(refused.text).not.toContain('client_secret_matches')
  expect((await compare(second, other.id, 'secret-of-acme')).body.client_secret_matches, 'another profile').toBe(true)
  expect(await comparisonsOf(broker, id)).toHaveLength(20)
})

test('a preview is what saving makes of it, and saves nothing', async ({ broker, database }) => {
  const wanted = profile({ aliases: ['Seen Before'], params: { prompt: 'consent' } })
  const before = await checksumTables(database.pool)
  const seen = await preview(broker, wanted)
  expect(seen).toMatchObject({ status: 200, body: { current: null } })
  expect(await checksumTables(database.pool)).toEqual(before)
  expect(seen.text).not.toContain('secret-of-acme')

  const saved = await createProfile(broker, wanted)
  expect(saved).toMatchObject(seen.body.next)
  const { client_secret: _, ...withoutSecret } = wanted
  const changed = { ...withoutSecret, aliases: [], category: 'crm' }
  const change = await preview(broker, { ...changed, revision: saved.revision })
  expect(change.body.current).toEqual(saved)
  expect(change.body.next).toMatchObject({ category: 'crm', aliases: [], has_client_secret: true })
  expect(await readProfile(broker, saved.id)).toEqual(saved)
  expect((await changeProfile(broker, 'PUT', saved.id, changed)).body).toMatchObject(change.body.next)
})

test('zones that do not exist are named by a preview, and when the profile is saved', async ({ broker }) => {
  await broker.post('/zones', { name: 'elsewhere' })
  expect((await broker.send('DELETE', '/zones/elsewhere')).status, 'it was there').toBe(200)
  const wanted = profile({ zones: ['root', 'nowhere', 'elsewhere'] })
  expect((await preview(broker, wanted)).body.missing_zones).toEqual(['elsewhere', 'nowhere'])
  const saved = await broker.post<{ message: string }>('/providers', wanted)
  expect(saved.status).toBe(201)
  expect(saved.body.message).toContain('No zone is called elsewhere, nowhere yet')
  expect((await preview(broker, { ...wanted, zones: ['root'] })).body.missing_zones).toEqual([])
})

test('a preview refuses what saving would refuse', async ({ broker }) => {
  const { id, name } = await createProfile(broker, { aliases: ['taken'] })
  const refusals = [
    [profile({ client_id: undefined }), 422, 'invalid_profile'],
    [profile({ name, auth_header: 'none' }), 422, 'invalid_profile'],
    [profile({ name, auth_type: 'api_key' }), 422, 'invalid_profile'],
    [profile({ name: 'taken' }), 409, 'provider_exists'],
    [profile({ name, revision: 2 }), 409, 'revision_conflict'],
    [profile({ revision: 1 }), 409, 'revision_conflict'],
  ] as const
  for (const [wanted, status, code] of refusals) {
    expect(await preview(broker, wanted), JSON.stringify(wanted)).toMatchObject({ status, body: { code } })
  }
  expect((await readProfile(broker, id)).revision).toBe(1)
})

test('a preview knows what connected accounts forbid', async ({ broker }) => {
  const provider = await openProvider(broker, { profile: { scopes: ['read'] } })
  await connect(broker, provider)
  const moved = profile({
    name: provider.name,
    token_url: 'http://127.0.0.2:9/token',
    auth_url: 'http://127.0.0.2:9/authorize',
  })
  expect(await preview(broker, moved)).toMatchObject({
    status: 422,
    body: { code: 'invalid_profile', details: { field: 'token_url' } },
  })
})
