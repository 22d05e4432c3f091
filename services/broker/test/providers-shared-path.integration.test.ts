import { expect } from 'vitest'
import { waitForBlocked, whileLocked } from './database-tools.ts'
import { test } from './handshake-scene.ts'
import { changeProfile, createProfile, profile } from './provider-profiles.ts'

// of its own, because the rule looks at all profiles of the database
test('[H6] a profile without issuer shares its path with nobody, however fast they are saved', async ({
  broker,
  database,
}) => {
  const shared = { distinct_redirect_uri: false }
  // inserts wait while the lock is held: all six have looked at the others before the first one is there
  const { saving } = await whileLocked(database.pool, 'lock table provider_profiles in share mode', async () => {
    const started = Array.from({ length: 6 }, () => broker.post('/providers', profile(shared)))
    await waitForBlocked(database.pool, 6)
    return { saving: started }
  })
  const statuses = (await Promise.all(saving)).map(({ status }) => status)
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
