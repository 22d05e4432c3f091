import { createBrowser } from '@nexus/testing'
import { expect } from 'vitest'
import { openConnection } from './connection-scene.ts'
import { eventually, setSecondsLeft, tokenRow } from './database-tools.ts'
import { isApp, readToken, requestConnection, spawnTestBroker } from './harness.ts'
import { auditOf, openProvider } from './handshake-scene.ts'
import { makeDue, test } from './refresh-crash-scene.ts'

const preload = new URL('shift-clock.ts', import.meta.url).href
const tenMinutes = 600_000

for (const [name, shift] of [
  ['ten minutes ahead', tenMinutes],
  ['ten minutes behind', -tenMinutes],
] as const) {
  test(
    `[R9] a host whose clock is ${name} connects, serves and refreshes as if it were right`,
    {
      timeout: 60_000,
    },
    async ({ database }) => {
      const env = { NODE_OPTIONS: `--import ${preload}`, CLOCK_SHIFT_MS: String(shift) }
      await using broker = await spawnTestBroker(database, { env })
      const [, logged = ''] = /"time":"([^"]+)"/.exec(broker.output()) ?? []
      expect(Math.abs(Date.parse(logged) - shift - Date.now()), 'the clock is wrong indeed').toBeLessThan(60_000)

      const provider = await openProvider(broker)
      const { authUrl, connection_id: id, state, expires_at } = await requestConnectionWithTimes(broker, provider.name)
      const { iat } = JSON.parse(Buffer.from(state.split('.')[0] ?? '', 'base64url').toString())
      expect(Math.abs(iat * 1000 - Date.now()), 'a state tells the time of the database').toBeLessThan(30_000)
      expect(Math.abs(Date.parse(expires_at) - Date.now() - 3_600_000)).toBeLessThan(30_000)

      // the ID token's iat and exp are judged by the database's time
      const { url } = await createBrowser().open(authUrl, { stopAt: isApp })
      expect(url.searchParams.get('status'), url.href).toBe('success')

      for (let n = 0; n < 5; n++) {
        const { status, body } = await readToken(broker, id)
        expect(status).toBe(200)
        expect(body.expires_in).toBeGreaterThan(3570)
        expect(body.expires_in).toBeLessThanOrEqual(3600)
        expect(Math.abs(Date.parse(body.expires_at ?? '') - Date.now() - 3_600_000)).toBeLessThan(30_000)
      }
      expect(provider.counts().refreshRequests, 'no storm').toBe(0)

      await setSecondsLeft(database.pool, id, -1)
      const { expires_in } = (await readToken(broker, id)).body
      expect(expires_in).toBeGreaterThan(3590)
      expect(provider.counts().refreshRequests).toBe(1)
      const { expires_at: stored, refresh_at } = await tokenRow(database.pool, id)
      expect(Math.abs(Number(stored) - Date.now() - 3_600_000)).toBeLessThan(30_000)
      expect(Number(refresh_at)).toBeGreaterThan(Date.now() + 3_000_000)
      expect(await auditOf(broker, id)).toContain('token_refreshed success')

      // the loop goes by the database's time too: what is due is refreshed once, what is not is left alone
      const other = await openConnection(broker)
      for (const [one, requests] of [
        [{ id, provider }, 2],
        [other, 1],
      ] as const) {
        await makeDue(database.pool, [one.id])
        const version = requests + 1
        await eventually('the loop refreshes it', async () =>
          (await tokenRow(database.pool, one.id)).version >= version ? true : undefined,
        )
        const row = await tokenRow(database.pool, one.id)
        expect(row).toMatchObject({ version, sent_epoch: null })
        const lead = Number(row.expires_at) - Number(row.refresh_at)
        expect(Math.abs(Number(row.expires_at) - Date.now() - 3_600_000)).toBeLessThan(30_000)
        expect(lead, 'a tenth of its life, and up to a tenth of that').toBeGreaterThanOrEqual(360_000)
        expect(lead).toBeLessThanOrEqual(396_000)
      }
      // by now the loop has been round again
      expect([provider.counts().refreshRequests, other.provider.counts().refreshRequests]).toEqual([2, 1])
      expect(provider.counts().supersededPresentations).toBe(0)
    },
  )
}

async function requestConnectionWithTimes(broker: Parameters<typeof requestConnection>[0], name: string) {
  const requested = await requestConnection(broker, { provider_name: name })
  return requested as typeof requested & { readonly expires_at: string }
}
