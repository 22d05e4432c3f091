import { expect, test } from 'vitest'
import { openPlainConnection } from './connection-scene.ts'
import { checksumTables, setSecondsLeft } from './database-tools.ts'
import { readToken } from './harness.ts'
import {
  type Installation,
  command,
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

/** An installation whose rows are all under `next`, and whose old key is retired. */
async function openRotated(rows: { readonly tokens: number }): Promise<Installation> {
  const installation = await openInstallation()
  const { old, next } = installation
  await seedRows(installation, old, rows)
  expect((await command(installation, { primary: old, extra: [next] }, 'keys', 'add')).exitCode).toBe(0)
  expect((await command(installation, { primary: next, extra: [old] }, 'keys', 'rotate')).exitCode).toBe(0)
  return installation
}

test('keys status tells of each key what it does, since when, how many rows need it, and what to do next', async () => {
  const installation = await openInstallation()
  const { old, next } = installation
  await seedRows(installation, old, { tokens: 3, revocations: 2 })
  const { exitCode, stdout, stderr } = await command(installation, { primary: old, extra: [next] }, 'keys', 'status')
  expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' })
  expect(stdout.split('\n')).toEqual([
    'key       role   registered         retired  rows',
    expect.stringMatching(
      new RegExp(
        `^${idOf(old)}  seals  \\d{4}-\\d\\d-\\d\\d \\d\\d:\\d\\dZ  -        1 client secrets, 2 revocations owed, 3 tokens$`,
      ),
    ),
    `${idOf(next)}  opens  not registered     -        none`,
    '',
    expect.stringContaining('nexus-broker keys add'),
    '',
  ])
})

test('keys status --json says the same to programs', async () => {
  const installation = await openRotated({ tokens: 2 })
  const { old, next } = installation
  const { exitCode, stdout } = await command(installation, { primary: next, extra: [old] }, 'keys', 'status', '--json')
  expect(exitCode).toBe(0)
  const time = expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/)
  expect(linesOf(stdout)).toEqual([
    {
      ok: true,
      keys: [
        {
          id: idOf(next),
          role: 'seals',
          registered_at: time,
          retired_at: null,
          rows: { token: 2, 'client-secret': 1 },
        },
        { id: idOf(old), role: 'opens', registered_at: time, retired_at: time, rows: {} },
      ],
      next: [expect.stringContaining(`No row needs ${idOf(old)} any more`)],
    },
  ])
})

test('keys status ends with 1 while rows need a key that is not configured', async () => {
  const installation = await openInstallation()
  await seedRows(installation, installation.old, { tokens: 2 })
  const { exitCode, stdout } = await command(installation, { primary: makeKey() }, 'keys', 'status')
  expect(exitCode).toBe(1)
  expect(stdout).toContain(`1 client secrets, 2 tokens need the key ${idOf(installation.old)}, which is not configured`)
})

test('keys add registers what is new, once, with a canary that proves it', async () => {
  const installation = await openInstallation()
  const { old, next } = installation
  const set = { primary: old, extra: [next] }
  const added = await command(installation, set, 'keys', 'add', '--json')
  expect({ ...added, stdout: linesOf(added.stdout) }).toEqual({
    exitCode: 0,
    stdout: [{ added: [idOf(next)], restored: [] }],
    stderr: '',
  })
  const before = await checksumTables(installation.database.pool)
  const again = await command(installation, set, 'keys', 'add')
  expect(again).toMatchObject({ exitCode: 0, stdout: 'every configured key was registered already\n' })
  expect(await checksumTables(installation.database.pool), 'nothing is written twice').toEqual(before)
  expect(await keyEvents(installation)).toEqual([
    {
      event: 'keys.added',
      outcome: 'success',
      actor_kind: 'operator',
      actor_id: expect.stringMatching(/^cli:./),
      data: { added: [idOf(next)], restored: [] },
    },
  ])
  await using broker = await startBrokerWith(installation, { primary: next, extra: [old] })
  expect((await broker.get('/health/ready')).status).toBe(200)
  expect(
    await refusalOf(installation, { primary: old }),
    'whoever lacks the new one would not read what it seals',
  ).toMatch(new RegExp(`needs the key with the id ${idOf(next)} \\(no rows yet\\)`))
})

test('[V2] keys add refuses keys of which none is this database’s own', async () => {
  const installation = await openInstallation()
  const before = await checksumTables(installation.database.pool)
  const { exitCode, stderr } = await command(installation, { primary: makeKey(), extra: [makeKey()] }, 'keys', 'add')
  expect(exitCode).toBe(1)
  expect(stderr).toMatch(
    /none of the configured keys \([\da-f]{8}, [\da-f]{8}\) is registered in this database, which knows/,
  )
  await installation.database.pool.query('update encryption_keys set key_id = $1', [
    Buffer.from(idOf(installation.next), 'hex'),
  ])
  const pretender = await command(installation, { primary: installation.next }, 'keys', 'add')
  expect(pretender, 'an id is no proof').toMatchObject({
    exitCode: 1,
    stderr: expect.stringContaining('is not the one this database'),
  })
  await installation.database.pool.query('update encryption_keys set key_id = $1', [
    Buffer.from(idOf(installation.old), 'hex'),
  ])
  expect(await checksumTables(installation.database.pool)).toEqual(before)
  await installation.database.pool.query('delete from encryption_keys')
  const empty = await command(installation, { primary: installation.old }, 'keys', 'add')
  expect(empty).toMatchObject({ exitCode: 1, stderr: expect.stringContaining('the first Broker that starts') })
})

test('[V2] a retired key may not seal: the start is refused until it is registered again', async () => {
  const installation = await openRotated({ tokens: 1 })
  const { old, next } = installation
  const set = { primary: old, extra: [next] }
  const message = await refusalOf(installation, set)
  expect(message).toContain(`ENCRYPTION_KEY (id ${idOf(old)}) is retired in this database: it opens, and may not seal`)
  expect(message).toContain(`the key with the id ${idOf(next)} ENCRYPTION_KEY`)
  expect(message).toContain('nexus-broker keys add')

  const extra = await command(installation, { primary: next, extra: [old] }, 'keys', 'add')
  expect(extra.stdout, 'as an extra key it stays retired, so that it can be taken out').toContain('registered already')
  expect(await registeredKeys(installation)).toMatchObject({ [idOf(old)]: true })

  expect((await command(installation, set, 'keys', 'add')).stdout).toContain(
    `${idOf(old)} was retired and is registered again`,
  )
  expect(await registeredKeys(installation)).toEqual({ [idOf(old)]: false, [idOf(next)]: false })
  {
    await using broker = await startBrokerWith(installation, set)
    expect((await broker.get('/health/ready')).status).toBe(200)
  }
  const back = await command(installation, set, 'keys', 'rotate')
  expect(linesOf(back.stdout).at(-1), 'it is the newest now').toMatchObject({ outcome: 'done', retired: [idOf(next)] })
})

test('[V2] [V4] a key removed too early stops the start with the count of its rows, retired or not', async () => {
  const installation = await openInstallation()
  const { database, old, next } = installation
  await seedRows(installation, old, { tokens: 4, revocations: 3 })
  await command(installation, { primary: old, extra: [next] }, 'keys', 'add')
  const tooEarly = await refusalOf(installation, { primary: next })
  expect(tooEarly).toContain(`needs the key with the id ${idOf(old)} (1 client secrets, 3 revocations owed, 4 tokens)`)

  // a Broker that nobody restarted seals with the old key after it was retired
  await using late = await startBrokerWith(installation, { primary: old, extra: [next] })
  const { id } = await openPlainConnection(late)
  expect((await command(installation, { primary: next, extra: [old] }, 'keys', 'rotate')).exitCode).toBe(0)
  await setSecondsLeft(database.pool, id, -1)
  expect((await readToken(late, id)).status).toBe(200)
  const before = await checksumTables(database.pool)
  expect(await refusalOf(installation, { primary: next })).toContain(
    `needs the key with the id ${idOf(old)} (1 tokens)`,
  )
  expect(await checksumTables(database.pool)).toEqual(before)

  const again = await command(installation, { primary: next, extra: [old] }, 'keys', 'rotate')
  expect(linesOf(again.stdout).at(-1)).toMatchObject({ outcome: 'done', resealed: { token: 1 } })
  await using broker = await startBrokerWith(installation, { primary: next })
  expect((await readToken(broker, id)).status).toBe(200)
})

test('keys retire gives up a key that was lost before it sealed, and no other', async () => {
  const installation = await openInstallation()
  const { old, next } = installation
  await seedRows(installation, old, { tokens: 2 })
  await command(installation, { primary: old, extra: [next] }, 'keys', 'add')
  const set = { primary: old }
  expect((await command(installation, set, 'keys', 'status')).stdout).toContain(
    `nexus-broker keys retire ${idOf(next)}`,
  )

  const refusals = [
    [set, '01234567', 'no key with the id 01234567 is registered'],
    [set, idOf(old), 'is the one that seals'],
    [
      { primary: next, extra: [old] },
      idOf(old),
      `rows need the key with the id ${idOf(old)} (1 client secrets, 2 tokens)`,
    ],
    [{ primary: makeKey() }, idOf(next), 'none of the configured keys'],
  ] as const
  for (const [keys, id, message] of refusals) {
    const { exitCode, stderr } = await command(installation, keys, 'keys', 'retire', id)
    expect({ exitCode, stderr }).toEqual({ exitCode: 1, stderr: expect.stringContaining(message) })
  }
  expect(await registeredKeys(installation)).toEqual({ [idOf(old)]: false, [idOf(next)]: false })

  expect(await command(installation, set, 'keys', 'retire', idOf(next))).toMatchObject({ exitCode: 0 })
  const again = await command(installation, set, 'keys', 'retire', idOf(next), '--json')
  expect(linesOf(again.stdout)).toEqual([{ key: idOf(next), retired: false }])
  expect((await keyEvents(installation)).map(({ event }) => event)).toEqual(['keys.added', 'keys.retired'])
  await using broker = await startBrokerWith(installation, set)
  expect((await broker.get('/health/ready')).status).toBe(200)
})
