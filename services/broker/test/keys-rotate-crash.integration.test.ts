import { randomInt } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import { expect, onTestFinished, test } from 'vitest'
import { migrationLockId } from '../src/db/migrate.ts'
import { startCommand } from './broker-command.ts'
import { openPlainConnection } from './connection-scene.ts'
import { eventually, setSecondsLeft, tokenRow, whileLocked } from './database-tools.ts'
import { type Client, readToken } from './harness.ts'
import {
  type Installation,
  command,
  countByKey,
  idOf,
  keyEnvironment,
  linesOf,
  openInstallation,
  registeredKeys,
  seedRows,
  startBrokerWith,
} from './keys-scene.ts'

const kills = 6

test(
  '[V4] killed again and again under load, it loses nothing, fails no read, and comes to its end',
  { timeout: 120_000 },
  async () => {
    const installation = await openInstallation()
    const { database, old, next } = installation
    const [first, second] = [
      { primary: old, extra: [next] },
      { primary: next, extra: [old] },
    ]
    expect((await command(installation, first, 'keys', 'add')).exitCode).toBe(0)
    // Brokers of both sets of keys, as in the middle of a roll
    await using before = await startBrokerWith(installation, first)
    await using after = await startBrokerWith(installation, second)
    const opened = await Promise.all([1, 2, 3, 4].map(() => openPlainConnection(before, { refreshTokens: 'constant' })))
    const seeded = await seedRows(installation, old, { tokens: 600, revocations: 20 })
    const load = startLoad(
      installation,
      [before, after],
      opened.map(({ id }) => id),
      seeded.tokens,
    )

    const env = { DATABASE_URL: database.url, ...keyEnvironment(second) }
    for (let n = 0; n < kills; n++) {
      const done = await countResealed(installation)
      const rotating = startCommand(['keys', 'rotate', '--batch', '1'], env)
      await eventually('it is under way', async () => (await countResealed(installation)) > done || undefined, 20_000)
      // wherever it happens to be
      await delay(randomInt(30))
      expect((await rotating.kill9()).exitCode, 'it did not end by itself').toBeNull()
      expect(await registeredKeys(installation), 'the old key stays until the end').toMatchObject({
        [idOf(old)]: false,
      })
    }
    expect(Object.keys(await countByKey(installation)), 'there is still something to do').toContain(
      `tokens ${idOf(old)}`,
    )
    // from here on nobody seals with the old key, but reads and refreshes go on
    await load.moveTo(after)
    const last = startCommand(['keys', 'rotate', '--batch', '3'], env)
    expect((await last.finished).exitCode).toBe(0)
    const { reads, refreshes, failures } = await load.stop()

    expect(failures.slice(0, 5), 'no read failed').toEqual([])
    expect(reads).toBeGreaterThan(100)
    expect(refreshes).toBeGreaterThan(4)
    expect(Object.keys(await countByKey(installation)).filter((key) => !key.endsWith(idOf(next)))).toEqual([])
    const { rows } = await database.pool.query('select count(*)::int as n from tokens')
    expect(rows, 'none lost').toEqual([{ n: 604 }])
    for (const id of seeded.tokens.keys())
      expect((await tokenRow(database.pool, id)).version, 'nobody refreshed it').toBe(1)
    const verified = await command(installation, { primary: next }, 'vault', 'verify')
    expect(linesOf(verified.stdout), 'every secret opens with the new key alone').toMatchObject([
      { event: 'verified', ok: true, checked: { token: 604, revocation: 20 } },
    ])
  },
)

test('[V4] killed when all rows are sealed anew, before the old key is retired, it retires it in the next run', async () => {
  const installation = await openInstallation()
  const { database, old, next } = installation
  const set = { primary: next, extra: [old] }
  await command(installation, { primary: old, extra: [next] }, 'keys', 'add')
  await seedRows(installation, old, { tokens: 3 })
  await whileLocked(database.pool, `select pg_advisory_xact_lock(${migrationLockId})`, async () => {
    const rotating = startCommand(['keys', 'rotate'], { DATABASE_URL: database.url, ...keyEnvironment(set) })
    await waitForRetirement(installation)
    await rotating.kill9()
  })
  expect(Object.keys(await countByKey(installation)).filter((key) => !key.endsWith(idOf(next)))).toEqual([])
  expect(await registeredKeys(installation)).toMatchObject({ [idOf(old)]: false })
  const { exitCode, stdout } = await command(installation, set, 'keys', 'rotate')
  expect(exitCode).toBe(0)
  expect(linesOf(stdout).at(-1)).toMatchObject({ outcome: 'done', resealed: { token: 0 }, retired: [idOf(old)] })
})

test('[V4] a row sealed with the old key between the last look and the end keeps that key from being retired', async () => {
  const installation = await openInstallation()
  const { database, old, next } = installation
  const set = { primary: next, extra: [old] }
  await command(installation, { primary: old, extra: [next] }, 'keys', 'add')
  await seedRows(installation, old, { tokens: 3 })
  const rotating = await whileLocked(database.pool, `select pg_advisory_xact_lock(${migrationLockId})`, async () => {
    const started = startCommand(['keys', 'rotate'], { DATABASE_URL: database.url, ...keyEnvironment(set) })
    await waitForRetirement(installation)
    await seedRows(installation, old, { revocations: 1 })
    return started
  })
  const { exitCode, stdout } = await rotating.finished
  expect(exitCode).toBe(0)
  expect(linesOf(stdout).at(-1)).toMatchObject({ resealed: { token: 3, revocation: 1 }, retired: [idOf(old)] })
  expect(Object.keys(await countByKey(installation)).filter((key) => !key.endsWith(idOf(next)))).toEqual([])
})

/** All rows are sealed anew, and the command stands before the lock of the registration. */
async function waitForRetirement({ database }: Installation): Promise<void> {
  await eventually('it waits to retire the old key', async () => {
    const { rows } = await database.pool.query(
      `select from pg_stat_activity
        where datname = current_database() and wait_event = 'advisory' and application_name = 'nexus-keys'`,
    )
    return rows.length > 0 || undefined
  })
}

async function countResealed(installation: Installation): Promise<number> {
  const counts = await countByKey(installation)
  return counts[`tokens ${idOf(installation.next)}`] ?? 0
}

/** Readers of everything and refreshes of the connections that can be, through all Brokers, until it is stopped. */
function startLoad(
  { database }: Installation,
  brokers: readonly Client[],
  refreshable: readonly string[],
  tokens: ReadonlyMap<string, string>,
) {
  const counts = { reads: 0, refreshes: 0, failures: [] as string[] }
  const stopping = new AbortController()
  const ids = [...tokens.keys()]
  let used = brokers
  const asking = new Set<Promise<unknown>>()
  const pick = <Item>(items: readonly Item[]): Item => items[randomInt(items.length)] as Item

  const ask = async (id: string, what: 'reads' | 'refreshes'): Promise<void> => {
    const answer = readToken(pick(used), id)
    asking.add(answer)
    const { status, body, text } = await answer
    asking.delete(answer)
    counts[what] += 1
    const expected = tokens.get(id) ?? body?.access_token
    if (status !== 200 || body.access_token !== expected) counts.failures.push(`${id}: ${status} ${text}`)
  }
  const read = async (): Promise<void> => {
    while (!stopping.signal.aborted) await ask(pick([...refreshable, pick(ids)]), 'reads')
  }
  const refresh = async (): Promise<void> => {
    while (!stopping.signal.aborted) {
      const id = pick(refreshable)
      await setSecondsLeft(database.pool, id, 10)
      await ask(id, 'refreshes')
      await delay(50)
    }
  }
  const all = Promise.all([read(), read(), refresh()])
  const stop = async () => {
    stopping.abort()
    await all
    return counts
  }
  onTestFinished(async () => void (await stop()))
  return {
    /** From now on everybody asks this Broker; the others have answered what they were asked. */
    moveTo: async (broker: Client): Promise<void> => {
      used = [broker]
      await Promise.all(asking)
    },
    stop,
  }
}
