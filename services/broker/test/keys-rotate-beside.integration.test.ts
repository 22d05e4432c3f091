import { expect, onTestFinished, test } from 'vitest'
import { sealedKinds } from '../src/vault/sealed-kinds.ts'
import { beginning, selectRowsOfKey, updateResealedRows } from '../src/vault/sealed-row-store.ts'
import { startCommand } from './broker-command.ts'
import { openPlainConnection } from './connection-scene.ts'
import { eventually, setSecondsLeft, tokenRow, whileLocked } from './database-tools.ts'
import { readToken } from './harness.ts'
import {
  command,
  countByKey,
  idOf,
  keyEnvironment,
  linesOf,
  openInstallation,
  openPool,
  registeredKeys,
  seedRows,
  startBrokerWith,
  vaultOf,
} from './keys-scene.ts'

test('[V4] a row that somebody holds is passed over, and sealed anew later with what they wrote', async () => {
  const installation = await openInstallation()
  const { database, old, next } = installation
  await command(installation, { primary: old, extra: [next] }, 'keys', 'add')
  await using broker = await startBrokerWith(installation, { primary: old, extra: [next] })
  const { id } = await openPlainConnection(broker)
  await seedRows(installation, old, { tokens: 5 })
  const env = { DATABASE_URL: database.url, ...keyEnvironment({ primary: next, extra: [old] }) }

  // rotation passes over the row that is held, does all the others, and comes back for it
  const rotating = await whileLocked(
    database.pool,
    `select from tokens where connection_id = '${id}' for update`,
    async () => {
      const started = startCommand(['keys', 'rotate'], env)
      await eventually('all but the held row are sealed anew', async () => {
        const counts = await countByKey(installation)
        return counts[`tokens ${idOf(next)}`] === 5 && counts[`tokens ${idOf(old)}`] === 1 ? true : undefined
      })
      expect((await readToken(broker, id)).status, 'reading waits for nobody').toBe(200)
      return started
    },
  )
  await setSecondsLeft(database.pool, id, -1)
  const refreshed = (await readToken(broker, id)).body.access_token
  const { exitCode } = await rotating.finished
  expect(exitCode).toBe(0)
  expect((await tokenRow(database.pool, id)).version).toBe(2)
  expect((await readToken(broker, id)).body.access_token).toBe(refreshed)
  expect(Object.keys(await countByKey(installation)).every((key) => key.endsWith(idOf(next)))).toBe(true)
})

test('[V4] what changed since it was read is never written over', async () => {
  const installation = await openInstallation()
  const { database, old, next } = installation
  const { tokens } = await seedRows(installation, old, { tokens: 5 })
  const pool = openPool(database)
  const kind = sealedKinds.find(({ purpose }) => purpose === 'token')!
  const read = await selectRowsOfKey(pool, kind, idOf(old), beginning, 10)
  const [refreshed = '', resealed = '', renumbered = '', gone = '', same = ''] = read.map(({ id }) => id)
  const anew = vaultOf(next)
  const ready = read.map((row) => ({
    row,
    anew: anew.seal(tokens.get(row.id) ?? '', { purpose: 'token', recordId: row.id, version: row.version }).sealed,
  }))
  await database.pool.query(`update tokens set version = 2, credentials = 'newer' where connection_id = $1`, [
    refreshed,
  ])
  await database.pool.query(`update tokens set credentials = 'other' where connection_id = $1`, [resealed])
  await database.pool.query('update tokens set version = 2 where connection_id = $1', [renumbered])
  await database.pool.query('delete from tokens where connection_id = $1', [gone])
  // what readers and claims write beside the secret does not matter
  await database.pool.query('update tokens set lease_epoch = lease_epoch + 1 where connection_id = $1', [same])

  expect(await updateResealedRows(pool, kind, idOf(next), ready)).toBe(1)
  const { rows } = await database.pool.query<{ id: string; credentials: Buffer; key: string }>(
    `select connection_id as id, credentials, encode(key_id, 'hex') as key from tokens`,
  )
  const written = Object.fromEntries(
    rows.map(({ id, credentials, key }) => [id, [credentials.toString('latin1'), key]]),
  )
  const ofSame = ready.find(({ row }) => row.id === same)?.anew.toString('latin1')
  expect(written).toEqual({
    [refreshed]: ['newer', idOf(old)],
    [resealed]: ['other', idOf(old)],
    [renumbered]: [read.find(({ id }) => id === renumbered)?.sealed.toString('latin1'), idOf(old)],
    [same]: [ofSame, idOf(next)],
  })
})

test('[V4] Ctrl-C ends it after the batch, and the next run goes on from there', async () => {
  const installation = await openInstallation()
  const { database, old, next } = installation
  await seedRows(installation, old, { tokens: 400 })
  await command(installation, { primary: old, extra: [next] }, 'keys', 'add')
  const set = { primary: next, extra: [old] }
  const rotating = startCommand(['keys', 'rotate', '--batch', '1'], {
    DATABASE_URL: database.url,
    ...keyEnvironment(set),
  })
  await eventually(
    'it is under way',
    async () => ((await countByKey(installation))[`tokens ${idOf(next)}`] ?? 0) > 5 || undefined,
  )
  rotating.interrupt()
  const { exitCode, stdout } = await rotating.finished
  expect(exitCode).toBe(1)
  const stopped = linesOf(stdout).at(-1)
  expect(stopped).toMatchObject({ event: 'rotated', outcome: 'stopped', retired: [] })
  const counts = await countByKey(installation)
  expect(stopped?.['resealed'], 'what it says is what it did').toMatchObject({ token: counts[`tokens ${idOf(next)}`] })
  expect(counts[`tokens ${idOf(old)}`]).toBeGreaterThan(0)
  const { exitCode: second, stdout: rest } = await command(installation, set, 'keys', 'rotate')
  expect(second).toBe(0)
  expect(linesOf(rest).at(-1)).toMatchObject({ outcome: 'done', resealed: { token: counts[`tokens ${idOf(old)}`] } })
})

test('[V4] a Broker that still seals with the old key is told of, and waited for', async () => {
  const installation = await openInstallation()
  const { database, old, next } = installation
  await seedRows(installation, old, { tokens: 3 })
  await command(installation, { primary: old, extra: [next] }, 'keys', 'add')
  const env = { DATABASE_URL: database.url, ...keyEnvironment({ primary: next, extra: [old] }) }
  // what an old Broker does, over and over: it seals something with the old key
  const vault = vaultOf(old)
  const [id = ''] = (await seedRows(installation, old, { revocations: 1 })).revocations
  const stopping = new AbortController()
  const sealing = (async () => {
    while (!stopping.signal.aborted) {
      const { sealed, keyId } = vault.seal('{}', { purpose: 'revocation', recordId: id, version: 1 })
      await database.pool.query('update revocations set tokens = $2, key_id = $3 where id = $1 and key_id <> $3', [
        id,
        sealed,
        keyId,
      ])
    }
  })()
  onTestFinished(async () => {
    stopping.abort()
    await sealing
  })
  const rotating = startCommand(['keys', 'rotate'], env)
  await eventually(
    'it says so',
    () => /"event":"rows_keep_coming","rows":1/.exec(rotating.stderr()) ?? undefined,
    20_000,
  )
  expect(await registeredKeys(installation), 'nothing is retired meanwhile').toMatchObject({ [idOf(old)]: false })
  stopping.abort()
  await sealing
  expect((await rotating.finished).exitCode).toBe(0)
  expect(await registeredKeys(installation)).toMatchObject({ [idOf(old)]: true })
})
