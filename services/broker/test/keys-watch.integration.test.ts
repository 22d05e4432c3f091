import { createKeyring } from '@nexus/crypto'
import { createLogger, createMetrics, renderMetrics } from '@nexus/service'
import { captureLogs } from '@nexus/testing'
import { expect, test } from 'vitest'
import { createVaultMetrics } from '../src/health/vault-metrics.ts'
import { checkKeyState } from '../src/vault/watch-keys.ts'
import {
  type Installation,
  type KeySet,
  command,
  idOf,
  openInstallation,
  openPool,
  seedRows,
  startBrokerWith,
} from './keys-scene.ts'

/** The part of a Broker that looks after its keys, with a clock that the test moves. */
function openWatch({ database }: Installation, { primary, extra = [] }: KeySet) {
  const bytes = (key: string): Buffer => Buffer.from(key, 'base64')
  const keyring = createKeyring({ primary: bytes(primary), extra: extra.map(bytes) })
  const pool = openPool(database)
  const logs = captureLogs()
  const logger = createLogger({ level: 'info', service: 'broker', destination: logs })
  const metrics = createMetrics('broker')
  let now = 0
  const { noteKeyState } = createVaultMetrics({ metrics, database: pool, keyring, monotonicMs: () => now })
  return {
    check: () => checkKeyState({ database: pool, keyring, logger, random: Math.random, onState: noteKeyState }),
    logs,
    pass: (ms: number) => void (now += ms),
    close: () => pool.close(),
    metric: async (name: string): Promise<Readonly<Record<string, number>>> => {
      const { text } = await renderMetrics(metrics)
      const lines = text.matchAll(new RegExp(`^${name}\\{(.*)\\} (\\S+)$`, 'gm'))
      return Object.fromEntries(
        Array.from(lines, ([, labels = '', value]) => [labels.replace(/,?service="broker"/, ''), Number(value)]),
      )
    },
  }
}

test('a Broker whose key was retired under it says what to do, by log and metric, until it is restarted', async () => {
  const installation = await openInstallation()
  const { old, next } = installation
  await command(installation, { primary: old, extra: [next] }, 'keys', 'add')
  const watch = openWatch(installation, { primary: old, extra: [next] })
  await watch.check()
  expect(await watch.metric('nexus_vault_primary_key_retired')).toEqual({ '': 0 })
  expect(watch.logs.lines()).toEqual([])

  await command(installation, { primary: next, extra: [old] }, 'keys', 'rotate')
  for (let n = 0; n < 2; n++) await watch.check()
  expect(await watch.metric('nexus_vault_primary_key_retired')).toEqual({ '': 1 })
  expect(watch.logs.lines()).toMatchObject([
    { level: 'error', key_id: idOf(old), msg: expect.stringContaining('restart it with the new ENCRYPTION_KEY') },
    { level: 'error' },
  ])
})

test('a Broker that lacks a registered key says so before that key seals', async () => {
  const installation = await openInstallation()
  const { old, next } = installation
  await command(installation, { primary: old, extra: [next] }, 'keys', 'add')
  const watch = openWatch(installation, { primary: old })
  await watch.check()
  expect(await watch.metric('nexus_vault_keys_missing')).toEqual({ '': 1 })
  expect(watch.logs.lines()).toMatchObject([{ level: 'error', missing: [idOf(next)] }])
})

test('the keys in use are counted once in five minutes, however often they are scraped', async () => {
  const installation = await openInstallation()
  const { old, next } = installation
  await command(installation, { primary: old, extra: [next] }, 'keys', 'add')
  await seedRows(installation, old, { tokens: 3 })
  const watch = openWatch(installation, { primary: next })
  const rows = (tokens: number) => ({
    [`key_id="${idOf(next)}",role="seals",kind="token"`]: 0,
    [`key_id="${idOf(old)}",role="not_configured",kind="token"`]: tokens,
    [`key_id="${idOf(old)}",role="not_configured",kind="client-secret"`]: 1,
  })
  // a scrape waits for the count only so long
  await expect.poll(() => watch.metric('nexus_vault_rows')).toMatchObject(rows(3))
  await installation.database.pool.query('delete from tokens')
  watch.pass(299_000)
  expect(await watch.metric('nexus_vault_rows')).toMatchObject(rows(3))
  watch.pass(1_000)
  await expect.poll(() => watch.metric('nexus_vault_rows')).toMatchObject(rows(0))
})

test('a database that is away leaves the other metrics, and the last count', async () => {
  const installation = await openInstallation()
  const watch = openWatch(installation, { primary: installation.old })
  await expect.poll(async () => Object.keys(await watch.metric('nexus_vault_rows'))).toHaveLength(4)
  const before = await watch.metric('nexus_vault_rows')
  await installation.database.pool.query('alter table tokens rename to gone')
  watch.pass(300_000)
  expect(await watch.metric('nexus_vault_rows')).toEqual(before)
  expect(await watch.metric('nexus_vault_primary_key_retired')).toEqual({ '': 0 })
})

test('a Broker shows its keys among its metrics', async () => {
  const installation = await openInstallation()
  await using broker = await startBrokerWith(installation, { primary: installation.old })
  const scrape = async () => (await broker.get('/metrics')).text
  const rows = `nexus_vault_rows{key_id="${idOf(installation.old)}",role="seals",kind="token",service="broker"} 0`
  await expect.poll(scrape).toContain(rows)
  expect(await scrape()).toContain('nexus_vault_primary_key_retired{service="broker"} 0')
})
