import { expect } from 'vitest'
import { test } from './handshake-scene.ts'
import { changeProfile, createProfile, profile } from './provider-profiles.ts'

// of its own, because the rule looks at all profiles of the database
test('[H6] a profile without issuer shares its path with nobody, however fast they are saved', async ({ broker }) => {
  const shared = { distinct_redirect_uri: false }
  const statuses = await Promise.all(
    Array.from({ length: 6 }, async () => (await broker.post('/providers', profile(shared))).status),
  )
  expect(statuses.toSorted((a, b) => a - b)).toEqual([201, 422, 422, 422, 422, 422])

  const refused = await broker.post('/providers', profile())
  expect(refused, 'nor may another come while it is there').toMatchObject({
    status: 422,
    body: { details: { field: 'name' } },
  })
  const [only] = (await broker.get<{ id: string }[]>('/providers')).body
  const separated = await changeProfile(broker, 'PATCH', only?.id ?? '', { distinct_redirect_uri: true })
  expect(separated.status).toBe(200)
  await createProfile(broker)
  const back = await changeProfile(broker, 'PATCH', only?.id ?? '', shared)
  expect(back).toMatchObject({ status: 422, body: { details: { field: 'distinct_redirect_uri' } } })
})
