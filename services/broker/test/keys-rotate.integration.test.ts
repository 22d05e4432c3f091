import { expect, test } from 'vitest'
import { sealedKinds } from '../src/vault/sealed-kinds.ts'
import { connect, openPlainConnection } from './connection-scene.ts'
import { tokenRow } from './database-tools.ts'
import { openLink, openProvider, consent, arrive } from './handshake-scene.ts'
import { readToken, requestConnection } from './harness.ts'
import {
  command,
  countByKey,
  idOf,
  keyEvents,
  linesOf,
  makeKey,
  openInstallation,
  refusalOf,
  registeredKeys,
  seedRows,
  startBrokerWith,
} from './keys-scene.ts'

test('every table with a key id is one that rotation and verification know', async () => {
  const { database } = await openInstallation()
  const { rows } = await database.pool.query<{ name: string }>(
    `select attrelid::regclass::text as name from pg_attribute a join pg_class c on c.oid = a.attrelid
      where attname = 'key_id' and relkind = 'r' and relnamespace = 'public'::regnamespace order by 1`,
  )
  const known = sealedKinds.map(({ table }) => table.text)
  expect(rows.map(({ name }) => name)).toEqual(['encryption_keys', ...known].toSorted())
})

test('[V4] the runbook: a new key in, its turn, everything sealed anew, the old key out', async () => {
  const installation = await openInstallation()
  const { database, old, next } = installation
  const [first, second, alone] = [{ primary: old, extra: [next] }, { primary: next, extra: [old] }, { primary: next }]
  const seeded = await seedRows(installation, old, { tokens: 30, revocations: 7 })
  let connection = ''
  let link = ''
  {
    await using broker = await startBrokerWith(installation, first)
    const { id, provider } = await openPlainConnection(broker)
    connection = id
    link = (await requestConnection(broker, { provider_name: provider.name })).connection_id
  }
  expect(await refusalOf(installation, second), 'it may not seal yet').toContain('nexus-broker keys add')

  expect(await command(installation, first, 'keys', 'add')).toMatchObject({ exitCode: 0 })
  {
    await using broker = await startBrokerWith(installation, second)
    const provider = await openProvider(broker)
    const sealedAfter = await connect(broker, provider)
    const departure = await openLink((await requestConnection(broker, { provider_name: provider.name })).authUrl)
    expect((await tokenRow(database.pool, sealedAfter)).version).toBe(1)

    const rotated = await command(installation, second, 'keys', 'rotate', '--batch', '4')
    expect(rotated.exitCode).toBe(0)
    const result = linesOf(rotated.stdout)
    expect(result).toEqual([
      {
        event: 'rotated',
        outcome: 'done',
        key: idOf(next),
        resealed: { token: 31, 'client-secret': 2, 'handshake-attempt': 0, revocation: 7 },
        failed: 0,
        retired: [idOf(old)],
      },
    ])
    expect(linesOf(rotated.stderr).at(-1)).toMatchObject({ event: 'progress', done: 40, total: 40 })
    // under way since before: its verifier opens
    const callback = await consent(departure)
    expect((await arrive({ callback, cookie: departure.cookie })).location?.searchParams.get('status')).toBe('success')
  }
  expect(Object.keys(await countByKey(installation)).every((key) => key.endsWith(idOf(next)))).toBe(true)
  expect(await registeredKeys(installation)).toEqual({ [idOf(old)]: true, [idOf(next)]: false })

  await using broker = await startBrokerWith(installation, alone)
  for (const [id, accessToken] of seeded.tokens) {
    expect((await readToken(broker, id)).body.access_token, 'none lost, none mixed up').toBe(accessToken)
  }
  expect((await readToken(broker, connection)).status).toBe(200)
  expect((await broker.get(`/connections/${link}`)).status).toBe(200)
  expect(await command(installation, alone, 'vault', 'verify')).toMatchObject({ exitCode: 0 })
  expect(await keyEvents(installation)).toMatchObject([
    { event: 'keys.added', outcome: 'success', actor_kind: 'operator', actor_id: expect.stringMatching(/^cli:./) },
    { event: 'keys.rotated', outcome: 'success', data: { key: idOf(next), retired: [idOf(old)] } },
  ])
})

test('[V4] what waits at the provider while its attempt is sealed anew comes to its end', async () => {
  const installation = await openInstallation()
  const { old, next } = installation
  const [first, second] = [
    { primary: old, extra: [next] },
    { primary: next, extra: [old] },
  ]
  await using broker = await startBrokerWith(installation, first)
  const provider = await openProvider(broker)
  const departure = await openLink((await requestConnection(broker, { provider_name: provider.name })).authUrl)
  await command(installation, first, 'keys', 'add')
  const { exitCode, stdout } = await command(installation, second, 'keys', 'rotate')
  expect({ exitCode, resealed: linesOf(stdout).at(-1)?.['resealed'] }).toEqual({
    exitCode: 0,
    resealed: { token: 0, 'client-secret': 1, 'handshake-attempt': 1, revocation: 0 },
  })
  const callback = await consent(departure)
  expect((await arrive({ callback, cookie: departure.cookie })).location?.searchParams.get('status')).toBe('success')
})

test('[V4] rotating again finds nothing to do, and records nothing', async () => {
  const installation = await openInstallation()
  const { old, next } = installation
  await seedRows(installation, old, { tokens: 3 })
  await command(installation, { primary: old, extra: [next] }, 'keys', 'add')
  const rotate = () => command(installation, { primary: next, extra: [old] }, 'keys', 'rotate')
  expect((await rotate()).exitCode).toBe(0)
  const { rows: before } = await installation.database.pool.query('select ctid, * from tokens order by connection_id')
  const again = await rotate()
  expect(linesOf(again.stdout).at(-1)).toMatchObject({ outcome: 'done', retired: [], resealed: { token: 0 } })
  const { rows: after } = await installation.database.pool.query('select ctid, * from tokens order by connection_id')
  expect(after, 'no row is written twice').toEqual(before)
  expect((await keyEvents(installation)).map(({ event }) => event)).toEqual(['keys.added', 'keys.rotated'])
})

test('[V4] a row that does not open is named and left alone, the others go on, and the old key stays', async () => {
  const installation = await openInstallation()
  const { database, old, next } = installation
  const { tokens, providerId } = await seedRows(installation, old, { tokens: 9, revocations: 2 })
  const [damaged = '', wrongVersion = ''] = [...tokens.keys()]
  await database.pool.query(
    'update tokens set credentials = set_byte(credentials, 20, get_byte(credentials, 20) # 1) where connection_id = $1',
    [damaged],
  )
  await database.pool.query('update tokens set version = -5 where connection_id = $1', [wrongVersion])
  await database.pool.query(
    'update provider_profiles set client_secret = set_byte(client_secret, 2, get_byte(client_secret, 2) # 1)',
  )
  const { rows: before } = await database.pool.query('select * from tokens where connection_id = any ($1)', [
    [damaged, wrongVersion],
  ])
  await command(installation, { primary: old, extra: [next] }, 'keys', 'add')
  const set = { primary: next, extra: [old] }
  const { exitCode, stdout } = await command(installation, set, 'keys', 'rotate', '--batch', '2')
  expect(exitCode).toBe(1)
  const lines = linesOf(stdout)
  expect(lines.slice(0, -1).toSorted((one, other) => String(one['id']).localeCompare(String(other['id'])))).toEqual(
    [
      { event: 'row_failed', kind: 'client-secret', id: providerId, problem: 'damaged' },
      { event: 'row_failed', kind: 'token', id: damaged, problem: 'damaged' },
      { event: 'row_failed', kind: 'token', id: wrongVersion, problem: 'damaged' },
    ].toSorted((one, other) => one.id.localeCompare(other.id)),
  )
  expect(lines.at(-1)).toMatchObject({
    outcome: 'incomplete',
    failed: 3,
    retired: [],
    resealed: { token: 7, revocation: 2 },
  })
  expect(await countByKey(installation)).toEqual({
    [`provider_profiles ${idOf(old)}`]: 1,
    [`revocations ${idOf(next)}`]: 2,
    [`tokens ${idOf(next)}`]: 7,
    [`tokens ${idOf(old)}`]: 2,
  })
  const { rows: after } = await database.pool.query('select * from tokens where connection_id = any ($1)', [
    [damaged, wrongVersion],
  ])
  expect(after).toEqual(before)
  expect(await registeredKeys(installation)).toMatchObject({ [idOf(old)]: false })
  expect((await keyEvents(installation)).at(-1)).toMatchObject({ event: 'keys.rotated', outcome: 'vault_integrity' })
})

test('with keys that no Broker would start with, nothing is sealed', async () => {
  const installation = await openInstallation()
  const { old, next } = installation
  await seedRows(installation, old, { tokens: 2 })
  const before = await countByKey(installation)
  const refusals = [
    [
      { primary: makeKey() },
      /needs the key with the id [\da-f]{8} \(1 client secrets, 2 tokens\), and it is not configured/,
    ],
    [{ primary: next, extra: [old] }, /is not registered in this database, so it may not seal/],
  ] as const
  for (const [set, message] of refusals) {
    const { exitCode, stdout, stderr } = await command(installation, set, 'keys', 'rotate')
    expect({ exitCode, stdout }).toEqual({ exitCode: 1, stdout: '' })
    expect(stderr).toMatch(message)
  }
  expect(await countByKey(installation)).toEqual(before)
})
