import { expect } from 'vitest'
import { capture, goodKey, requestStatic, startApi, storedKey, triedAt } from './capture-scene.ts'
import { openPageFor, registerStatic, submitPage } from './connect-scene.ts'
import { tokenRow } from './database-tools.ts'
import { disconnect } from './disconnect-scene.ts'
import { auditOf, connectionOf, returned } from './handshake-scene.ts'
import { type Client, startTestBroker } from './harness.ts'
import { command, idOf, linesOf, openInstallation, startBrokerWith } from './keys-scene.ts'
import { letLoopPass, makeDue, openConnections, startLoopingBroker, test, waitForVersion } from './refresh-scene.ts'

/** Somebody connects by the page, as people do. */
async function connectByPage(broker: Client): Promise<string> {
  const opened = await openPageFor(broker, await registerStatic(broker))
  const answer = await submitPage(opened, { 'credentials[api_key]': goodKey })
  expect(returned(answer)).toMatchObject({ status: 'success' })
  return opened.connection_id
}

test('[V4] what was typed in is sealed anew with all else, verified, and read under the new key alone', async () => {
  const installation = await openInstallation()
  const { database, old, next } = installation
  let id: string
  {
    await using broker = await startBrokerWith(installation, { primary: old, extra: [next] })
    id = await connectByPage(broker)
  }
  const both = { primary: next, extra: [old] }
  expect(await command(installation, both, 'keys', 'add')).toMatchObject({ exitCode: 0 })
  expect(await command(installation, both, 'keys', 'rotate')).toMatchObject({ exitCode: 0 })
  const { rows } = await database.pool.query('select encode(key_id, $2) as key from tokens where connection_id = $1', [
    id,
    'hex',
  ])
  expect(rows).toEqual([{ key: idOf(next) }])

  const verified = await command(installation, both, 'vault', 'verify')
  expect(verified.exitCode).toBe(0)
  expect(linesOf(verified.stdout).at(-1)).toMatchObject({ ok: true, checked: { token: 1 } })
  await using broker = await startBrokerWith(installation, both)
  expect(await storedKey(broker, id)).toBe(goodKey)

  await database.pool.query('update tokens set credentials = set_byte(credentials, 40, get_byte(credentials, 40) # 1)')
  const damaged = await command(installation, both, 'vault', 'verify')
  expect(damaged.exitCode).not.toBe(0)
  expect(linesOf(damaged.stdout).at(-1)).toMatchObject({ ok: false, findings: { damaged: 1 } })
})

test('the loop that refreshes what is due leaves it alone', async ({ quiet, database }) => {
  const { pool } = database
  const id = await connectByPage(quiet)
  const before = await tokenRow(pool, id)
  const { ids } = await openConnections(quiet, 1)
  await makeDue(pool, ids[0] ?? '')
  await using _looping = await startLoopingBroker(database)
  // the loop was here, and worked
  await waitForVersion(pool, ids[0] ?? '', 2)
  await letLoopPass(quiet, pool)
  expect(await tokenRow(pool, id)).toEqual(before)
  expect(await auditOf(quiet, id)).not.toContainEqual(expect.stringContaining('refresh'))
})

test('disconnected long enough ago, it is purged like any other', async ({ quiet, database }) => {
  const { pool } = database
  const [gone, living] = [await connectByPage(quiet), await connectByPage(quiet)]
  await disconnect(quiet, gone)
  await pool.query(`update connections set updated_at = now() - interval '100 days' where id = any ($1)`, [
    [gone, living],
  ])
  await (await startTestBroker(database))[Symbol.asyncDispose]()
  expect((await quiet.get(`/connections/${gone}`)).status).toBe(404)
  expect(await storedKey(quiet, living)).toBe(goodKey)
})

test.for([
  ['the field it is read from', { params: { value_prefix: 'Bearer ', credential_field: 'token' } }],
  ['the header it is sent in', { params: { value_prefix: 'Bearer ', header_name: 'X-Key' } }],
  ['the origin it is sent to', { api_base_url: 'http://127.0.0.1:9', user_info_endpoint: null }],
] as const)(
  '[A3] a profile that changes %s while a credential is tried does not get it',
  async ([, change], { quiet: broker }) => {
    const api = await startApi()
    const { providerId, state, connection_id: id } = await requestStatic(broker, triedAt(api))
    const letGo = api.hold()
    const capturing = capture(broker, state)
    await api.waitForRequests(1)
    expect((await broker.send('PATCH', `/providers/${providerId}`, { body: change })).status).toBe(200)
    letGo()
    expect((await capturing).status).not.toBe(200)
    expect(await connectionOf(broker, id)).toMatchObject({ status: 'failed', status_reason: 'profile_changed' })
    expect((await broker.get(`/connections/${id}/token`)).status).toBe(409)
  },
)
