import { mkdtemp, readFile, readdir, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { answers, startTcpProxy } from '@nexus/testing'
import { expect, onTestFinished } from 'vitest'
import { type Connected, openPlainConnection } from './connection-scene.ts'
import { eventually, tokenRow } from './database-tools.ts'
import { readToken, spawnTestBroker, startTestBroker } from './harness.ts'
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
} from './refresh-crash-scene.ts'

async function makeSpool(): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'nexus-spool-'))
  onTestFinished(() => rm(directory, { recursive: true }))
  return directory
}

const settled = { sent_epoch: null, sent_at: null, lease_owner: null, lease_until: null }

test(
  '[R6] SIGTERM: what was sent is followed through, what was only claimed is given up, and no lease stays',
  { timeout },
  async ({ broker, database }) => {
    const sent = await openPlainConnection(broker, policies.strict)
    const unsent = await openPlainConnection(broker, policies.strict)
    await using leaving = await spawnTestBroker(database)
    const answer = answers.createGate('after')
    sent.provider.next('token', answer.step)
    // what it does between its lease and its mark
    const discovery = answers.createGate()
    unsent.provider.next('discovery', discovery.step)
    await makeDue(database.pool, [sent.id, unsent.id])
    await Promise.all([answer.arrived, discovery.arrived])

    const stopping = leaving.stop('SIGTERM')
    await eventually('the unsent one is given back at once', async () =>
      (await tokenRow(database.pool, unsent.id)).lease_owner === null ? true : undefined,
    )
    expect(await tokenRow(database.pool, sent.id)).toMatchObject({ sent_epoch: '1', version: 1 })
    discovery.open()
    answer.open()
    expect(await stopping).toEqual({ exitCode: 0, signal: null })
    expect(await tokenRow(database.pool, sent.id)).toMatchObject({ ...settled, version: 2 })
    // given up, and not for a failure of its provider
    expect(await tokenRow(database.pool, unsent.id)).toMatchObject({ ...settled, version: 1, failure_count: 0 })
    expect(unsent.provider.counts().refreshRequests, 'nothing is sent once it drains').toBe(0)
    expect((await readToken(broker, sent.id)).body.access_token).toBe(newestAccessToken(sent))
  },
)

/** Each was answered, and the database went away before it was stored. */
async function answerWithoutDatabase(
  proxy: Awaited<ReturnType<typeof startTcpProxy>>,
  broker: Awaited<ReturnType<typeof spawnTestBroker>>,
  connected: readonly Connected[],
) {
  const gates = connected.map(({ provider }) => {
    const gate = answers.createGate('after')
    provider.next('token', gate.step)
    return gate
  })
  const asking = connected.map(({ id }) => refreshNow(broker, id))
  await Promise.all(gates.map(({ arrived }) => arrived))
  await proxy.refuse()
  for (const gate of gates) gate.open()
  for (const { id } of connected) {
    const waits = new RegExp(`"connection_id":"${id}".*the outcome of a refresh waits to be stored`)
    await broker.waitForOutput(waits)
  }
  return asking
}

test(
  '[R3] [R6] SIGTERM without a database: the answer goes sealed into SPOOL_DIR, and the next start stores it once',
  { timeout },
  async ({ broker, database }) => {
    const spool = await makeSpool()
    const kept = await openPlainConnection(broker, policies.strict)
    const overtaken = await openPlainConnection(broker, policies.grace)
    await using proxy = await startTcpProxy({ port: Number(new URL(database.url).port) })
    const env = { SPOOL_DIR: spool, SHUTDOWN_GRACE_SECONDS: '4', REFRESH_ENABLED: 'false' }
    await using leaving = await spawnTestBroker({ url: proxy.url(database.url) }, { env })
    const asking = await answerWithoutDatabase(proxy, leaving, [kept, overtaken])
    const stopping = leaving.stop('SIGTERM')
    for (const answer of await Promise.all(asking)) expect(answer).toMatchObject({ status: 503 })
    expect(await stopping).toEqual({ exitCode: 0, signal: null })
    expect(leaving.output()).toMatch(/refreshed tokens were written to SPOOL_DIR/)

    const names = await readdir(spool)
    expect(names.toSorted()).toEqual([kept, overtaken].map(({ id }) => `${id}.1.1.answer`).toSorted())
    const secrets = [kept, overtaken].flatMap(({ provider }) => provider.secrets())
    for (const name of names) {
      expect((await stat(join(spool, name))).mode & 0o777, 'for its owner alone').toBe(0o600)
      const bytes = await readFile(join(spool, name))
      const text = `${bytes.toString('latin1')} ${Buffer.from(bytes.toString('latin1'), 'base64').toString('latin1')}`
      for (const secret of secrets) expect(text).not.toContain(secret)
    }

    // of one the lease lapses, and somebody else presents its token again
    await passLeases(database.pool, [overtaken.id])
    const newer = await refreshNow(broker, overtaken.id)
    expect(newer).toMatchObject({ status: 200 })
    // files that nobody could have written for the connections whose names they have, and one that is no answer
    const moved = await openPlainConnection(broker, policies.strict)
    const foreign = { [`${moved.id}.1.1.answer`]: await readFile(join(spool, `${kept.id}.1.1.answer`)) }
    const damaged = await openPlainConnection(broker, policies.strict)
    const left = { ...foreign, [`${damaged.id}.1.1.answer`]: Buffer.from('no answer at all'), 'README.txt': 'ours' }
    for (const [name, content] of Object.entries(left)) await writeFile(join(spool, name), content)

    const starting = { env: { SPOOL_DIR: spool } }
    const [one, two] = await Promise.all([startTestBroker(database, starting), startTestBroker(database, starting)])
    await using _one = one
    await using _two = two
    expect((await readToken(one, kept.id)).body.access_token).toBe(newestAccessToken(kept))
    expect(await tokenRow(database.pool, kept.id)).toMatchObject({ ...settled, version: 2 })
    expect((await auditOf(broker, kept.id)).filter((event) => event === 'token_refreshed success')).toHaveLength(1)
    expect(kept.provider.counts()).toMatchObject({ refreshRequests: 1, supersededPresentations: 0 })
    expect((await readToken(two, overtaken.id)).body.access_token).toBe(newer?.body.access_token)
    expect(await tokenRow(database.pool, overtaken.id)).toMatchObject({ version: 2 })
    expect((await leasesLost(one)) + (await leasesLost(two)), 'the overtaken one was dropped').toBeGreaterThan(0)

    expect((await readdir(spool)).toSorted(), 'what is not understood is left').toEqual(Object.keys(left).toSorted())
    for (const { id } of [moved, damaged]) {
      const named = one.logs.lines().find((line) => line['connection_id'] === id)
      expect(named?.['msg']).toBe('a refreshed token in SPOOL_DIR cannot be stored now; it stays there')
      expect(await tokenRow(database.pool, id)).toMatchObject({ version: 1 })
    }
  },
)

test(
  '[R6] SIGTERM without a database and without SPOOL_DIR: exit code 1, and the log names whose tokens are lost',
  { timeout },
  async ({ broker, database }) => {
    const connected = await openPlainConnection(broker, policies.grace)
    await using proxy = await startTcpProxy({ port: Number(new URL(database.url).port) })
    const env = { SHUTDOWN_GRACE_SECONDS: '2', REFRESH_ENABLED: 'false' }
    await using leaving = await spawnTestBroker({ url: proxy.url(database.url) }, { env })
    const [asking] = await answerWithoutDatabase(proxy, leaving, [connected])
    expect(await leaving.stop('SIGTERM')).toEqual({ exitCode: 1, signal: null })
    expect(leaving.output()).toMatch(
      new RegExp(`SPOOL_DIR is not set: .*tokens of these connections are lost: ${connected.id}`),
    )
    expect((await asking)?.status ?? 'cut off').toBe('cut off')
    for (const secret of connected.provider.secrets()) expect(leaving.output()).not.toContain(secret)

    // what can be done without the answer is done
    await passLeases(database.pool, [connected.id])
    expect(await refreshNow(broker, connected.id)).toMatchObject({ status: 200 })
  },
)
