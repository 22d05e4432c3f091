import { answers, createTestDatabase, migrateDatabase, startTcpProxy, startTemporaryCluster } from '@nexus/testing'
import { expect, onTestFinished, test as plain } from 'vitest'
import { systemOrigin } from '../src/audit/audit-event.ts'
import { openPlainConnection } from './connection-scene.ts'
import { tokenRow, waitForBlocked, whileLocked } from './database-tools.ts'
import { readToken, startTestBroker } from './harness.ts'
import { auditOf } from './handshake-scene.ts'
import {
  leasesLost,
  makeDue,
  newestAccessToken,
  passLeases,
  policies,
  refreshNow,
  test,
  timeout,
  untilSettled,
} from './refresh-crash-scene.ts'
import { openRefresher } from './refresher-scene.ts'

const quiet = { env: { REFRESH_ENABLED: 'false' } }
const waits = 'the outcome of a refresh waits to be stored'

plain(
  '[R3] [R4] PostgreSQL crashes between answer and commit: the answer is kept and stored, and nobody presents the token again',
  { timeout },
  async () => {
    await using cluster = await startTemporaryCluster()
    const { url, pool } = await createTestDatabase(cluster.url('postgres'))
    onTestFinished(() => pool.end())
    await migrateDatabase(url)
    await using proxy = await startTcpProxy({ port: cluster.port })
    await using holder = await startTestBroker({ url: proxy.url(url) })
    await using other = await startTestBroker({ url })
    const [held, due] = [
      await openPlainConnection(holder, policies.strict),
      await openPlainConnection(holder, policies.strict),
    ]
    const gate = answers.createGate('after')
    held.provider.next('token', gate.step)
    const asking = refreshNow(holder, held.id)
    await gate.arrived
    await cluster.stop('immediate')
    await proxy.refuse()
    gate.open()
    await holder.logs.waitFor(({ msg }) => msg === waits)
    expect(await asking, 'who waits is told').toMatchObject({ status: 503, body: { code: 'unavailable' } })
    expect(await refreshNow(other, held.id)).toMatchObject({ status: 503, body: { code: 'unavailable' } })

    // the database is there again for the other one only, and the lease has lapsed
    await cluster.start()
    await passLeases(pool, [held.id])
    await makeDue(pool, [due.id])
    await untilSettled(other, pool, due.id)
    // its loop has been round, in which it looks for what others left behind first
    const untaken = { version: 1, lease_epoch: '1', sent_epoch: '1' }
    expect(await tokenRow(pool, held.id)).toMatchObject(untaken)

    // it returns for the one with the answer, though not for this row yet: as long as it holds it, it claims nothing
    await whileLocked(pool, `select from tokens where connection_id = '${held.id}' for update`, async () => {
      await proxy.accept()
      await waitForBlocked(pool)
      await pool.query(`update tokens set last_refresh_at = null where connection_id = $1`, [due.id])
      expect(await refreshNow(holder, due.id)).toMatchObject({ status: 503, body: { code: 'unavailable' } })
      expect(await tokenRow(pool, held.id)).toMatchObject(untaken)
    })
    await untilSettled(holder, pool, held.id)
    for (const broker of [holder, other]) {
      expect((await readToken(broker, held.id)).body.access_token).toBe(newestAccessToken(held))
    }
    expect(await tokenRow(pool, held.id)).toMatchObject({ version: 2, lease_until: null, sent_epoch: null })
    expect(held.provider.counts()).toMatchObject({ refreshRequests: 1, supersededPresentations: 0 })
    expect(await refreshNow(holder, due.id), 'it claims again').toMatchObject({ status: 200 })
  },
)

test('[R4] a mark whose acknowledgement is lost: nothing is sent, and the token is refreshed later', async ({
  broker,
  database,
}) => {
  const connected = await openPlainConnection(broker, policies.strict)
  const { id, provider } = connected
  await using proxy = await startTcpProxy({ port: Number(new URL(database.url).port) })
  await using cutOff = await startTestBroker({ url: proxy.url(database.url) }, quiet)
  // what it does between its lease and its mark
  const discovery = answers.createGate()
  provider.next('discovery', discovery.step)
  const asking = refreshNow(cutOff, id)
  await discovery.arrived
  const cut = proxy.cutOnPattern('to-client', 'UPDATE 1\0')
  discovery.open()
  await cut.happened
  expect(await asking).toMatchObject({ status: 503, body: { code: 'unavailable' } })
  expect(await tokenRow(database.pool, id), 'it is marked').toMatchObject({ sent_epoch: '1', version: 1 })
  expect(provider.counts().refreshRequests).toBe(0)

  await passLeases(database.pool, [id])
  await using healer = await startTestBroker(database)
  await untilSettled(broker, database.pool, id)
  expect((await readToken(healer, id)).body.access_token).toBe(newestAccessToken(connected))
  expect(provider.counts()).toMatchObject({ refreshRequests: 1, supersededPresentations: 0 })
})

test('[R4] a COMMIT that is never acknowledged is read again: no second refresh, and no answer counts as lost', async ({
  broker,
  database,
}) => {
  const connected = await openPlainConnection(broker, policies.strict)
  const { id, provider } = connected
  await using proxy = await startTcpProxy({ port: Number(new URL(database.url).port) })
  await using cutOff = await startTestBroker({ url: proxy.url(database.url) }, quiet)
  const gate = answers.createGate('after')
  provider.next('token', gate.step)
  const asking = refreshNow(cutOff, id)
  await gate.arrived
  const cut = proxy.cutOnPattern('to-client', 'COMMIT\0')
  gate.open()
  await cut.happened
  expect(await asking).toMatchObject({ status: 200, body: { access_token: newestAccessToken(connected) } })
  expect(await tokenRow(database.pool, id)).toMatchObject({ version: 2, sent_epoch: null, lease_until: null })
  const refreshed = (await auditOf(broker, id)).filter((event) => event === 'token_refreshed success')
  expect(refreshed, 'one version, one record').toHaveLength(1)
  expect(provider.counts()).toMatchObject({ refreshRequests: 1, supersededPresentations: 0 })
  expect(await leasesLost(cutOff)).toBe(0)
})

test('[R4] a failure whose COMMIT is never acknowledged is recorded once', async ({ broker, database }) => {
  const { id, provider } = await openPlainConnection(broker, policies.strict)
  await using proxy = await startTcpProxy({ port: Number(new URL(database.url).port) })
  await using cutOff = await startTestBroker({ url: proxy.url(database.url) }, quiet)
  const gate = answers.createGate('before', answers.serverError(503, 120))
  provider.next('token', gate.step)
  const asking = refreshNow(cutOff, id)
  await gate.arrived
  const cut = proxy.cutOnPattern('to-client', 'COMMIT\0')
  gate.open()
  await cut.happened
  expect(await asking).toMatchObject({ status: 502, body: { code: 'provider_unavailable' } })
  expect(await tokenRow(database.pool, id)).toMatchObject({ version: 1, failure_count: 1, sent_epoch: null })
  expect((await auditOf(broker, id)).filter((event) => event.startsWith('token_refresh_failed'))).toHaveLength(1)
  expect(provider.counts().refreshRequests).toBe(1)
})

test('[R4] what another Broker sent is left to it for ten seconds after the database returned', async ({
  broker,
  database,
}) => {
  const { id, provider } = await openPlainConnection(broker, policies.grace)
  await database.pool.query(
    `update tokens set sent_epoch = lease_epoch, sent_at = now() - interval '26 s', lease_until = now() - interval '1 s'
      where connection_id = $1`,
    [id],
  )
  let sinceRegained = 9_900
  await using refresher = await openRefresher(database, {
    database: (real) => ({ ...real, msSinceRegained: () => sinceRegained }),
  })
  await expect(refresher.refreshConnection(id, systemOrigin, 500)).rejects.toMatchObject({
    code: 'refresh_in_progress',
  })
  expect(provider.counts().refreshRequests).toBe(0)
  sinceRegained = 10_100
  await refresher.refreshConnection(id, systemOrigin, 20_000)
  expect(await tokenRow(database.pool, id)).toMatchObject({ version: 2, sent_epoch: null })
  expect(provider.counts().refreshRequests).toBe(1)
})
