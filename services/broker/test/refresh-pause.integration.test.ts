import { randomUUID } from 'node:crypto'
import { answers } from '@nexus/testing'
import { expect } from 'vitest'
import type { Sql } from '../src/db/sql.ts'
import { claimAbandonedTokens } from '../src/refresher/claim-store.ts'
import { openPlainConnection } from './connection-scene.ts'
import { eventually, tokenRow } from './database-tools.ts'
import { readToken, startTestBroker } from './harness.ts'
import { auditOf } from './handshake-scene.ts'
import {
  leasesLost,
  newestAccessToken,
  passLeases,
  policies,
  refreshNow,
  spawnDoomedBroker,
  test,
  timeout,
  untilStopped,
} from './refresh-crash-scene.ts'

const quiet = { env: { REFRESH_ENABLED: 'false' } }

test(
  '[R1] [R3] stopped before the mark until its lease lapsed: on waking nothing is sent under it',
  { timeout },
  async ({ broker, database }) => {
    const [refreshed, claimed, untouched] = [
      await openPlainConnection(broker, policies.strict),
      await openPlainConnection(broker, policies.strict),
      await openPlainConnection(broker, policies.strict),
    ]
    const all = [refreshed, claimed, untouched]
    const ids = all.map(({ id }) => id)
    await using sleeper = await spawnDoomedBroker(database, 'stop', 'claimed', ids)
    const asking = ids.map((id) => refreshNow(sleeper, id))
    await untilStopped(sleeper)
    await passLeases(database.pool, ids)

    // one was refreshed meanwhile, of one somebody has the lease, and to one nobody came
    await using other = await startTestBroker(database, quiet)
    expect(await refreshNow(other, refreshed.id)).toMatchObject({ status: 200 })
    const gate = answers.createGate()
    claimed.provider.next('discovery', gate.step)
    const held = refreshNow(other, claimed.id)
    await gate.arrived
    expect(await tokenRow(database.pool, claimed.id)).toMatchObject({ lease_epoch: '2', sent_epoch: null })

    sleeper.resume()
    expect(await asking[0]).toMatchObject({ status: 200, body: { access_token: newestAccessToken(refreshed) } })
    // it looked at its lease again and took a new one; by then it has looked at the others' too
    expect(await asking[2]).toMatchObject({ status: 200, body: { access_token: newestAccessToken(untouched) } })
    expect(claimed.provider.counts().refreshRequests, 'the other has the lease').toBe(0)
    gate.open()
    const { body } = (await held) ?? {}
    expect(body).toMatchObject({ access_token: newestAccessToken(claimed) })
    expect((await asking[1])?.body).toMatchObject({ access_token: newestAccessToken(claimed) })

    for (const { id, provider } of all) {
      expect(provider.counts()).toMatchObject({ refreshRequests: 1, supersededPresentations: 0 })
      expect(await tokenRow(database.pool, id)).toMatchObject({ version: 2, lease_epoch: '2', sent_epoch: null })
    }
  },
)

test(
  '[R3] stopped with the answer in hand or on its way: stored where nobody asked again, else dropped for the newer one',
  { timeout },
  async ({ broker, database }) => {
    const alone = await openPlainConnection(broker, policies.strict)
    const claimed = await openPlainConnection(broker, policies.strict)
    const repeated = await openPlainConnection(broker, policies.grace)
    const onItsWay = await openPlainConnection(broker, policies.grace)
    const presented = await openPlainConnection(broker, policies.grace)
    const inHand = [alone, claimed, repeated, presented].map(({ id }) => id)
    await using sleeper = await spawnDoomedBroker(database, 'stop', 'answered', inHand)
    const answer = answers.createGate('after')
    onItsWay.provider.next('token', answer.step)
    const asking = [refreshNow(sleeper, onItsWay.id)]
    await answer.arrived
    asking.push(...inHand.map((id) => refreshNow(sleeper, id)))
    await untilStopped(sleeper)
    await passLeases(database.pool, [...inHand, onItsWay.id])

    await using other = await startTestBroker(database, quiet)
    const taken = [await refreshNow(other, repeated.id), await refreshNow(other, onItsWay.id)]
    const second = answers.createGate('after')
    presented.provider.next('token', second.step)
    const presenting = refreshNow(other, presented.id)
    await second.arrived
    const discovery = answers.createGate()
    claimed.provider.next('discovery', discovery.step)
    const claiming = refreshNow(other, claimed.id)
    await discovery.arrived
    expect(await tokenRow(database.pool, claimed.id)).toMatchObject({ lease_epoch: '2', sent_epoch: '1' })

    answer.open()
    sleeper.resume()
    const [late, stored, storedToo, dropped] = await Promise.all(asking.slice(0, 4))
    expect(stored).toMatchObject({ status: 200, body: { access_token: newestAccessToken(alone) } })
    expect(storedToo).toMatchObject({ status: 200, body: { access_token: newestAccessToken(claimed) } })
    // the claim was of no use any more, and whoever holds it finds that out before it sends
    discovery.open()
    expect(await claiming).toMatchObject({ status: 200, body: { access_token: newestAccessToken(claimed) } })
    for (const { id, provider } of [alone, claimed]) {
      expect(provider.counts()).toMatchObject({ refreshRequests: 1, supersededPresentations: 0 })
      expect(await tokenRow(database.pool, id)).toMatchObject({ version: 2, lease_until: null, sent_epoch: null })
    }

    // presented again and not answered yet: whose answer is to count is decided all the same
    await eventually('the third answer is dropped', async () => ((await leasesLost(sleeper)) === 3 ? true : undefined))
    expect(await tokenRow(database.pool, presented.id)).toMatchObject({ version: 1, sent_epoch: '2' })
    second.open()
    taken.push(await presenting)
    const given = [dropped, late, await asking[4]]
    for (const [n, { id, provider }] of [repeated, onItsWay, presented].entries()) {
      const newer = taken[n]?.body
      expect(given[n]?.body, 'the sleeper too gives out the newer token').toMatchObject({
        access_token: newer?.access_token,
      })
      expect((await readToken(broker, id)).body.access_token).toBe(newer?.access_token)
      expect(provider.counts()).toMatchObject({ refreshRequests: 2, supersededPresentations: 1, reuseDetections: 0 })
      expect(await tokenRow(database.pool, id)).toMatchObject({ version: 2, lease_until: null, sent_epoch: null })
      expect((await auditOf(broker, id)).filter((event) => event === 'token_refreshed success')).toHaveLength(1)
    }
    expect(await leasesLost(sleeper)).toBe(3)
  },
)

test(
  '[R3] stopped with the answer in hand, while whoever took over could present nothing: it is stored',
  { timeout },
  async ({ broker, database }) => {
    const connected = await openPlainConnection(broker, policies.strict)
    const { id, provider } = connected
    await using sleeper = await spawnDoomedBroker(database, 'stop', 'answered', [id])
    const asking = refreshNow(sleeper, id)
    await untilStopped(sleeper)
    await passLeases(database.pool, [id])

    await using other = await startTestBroker(database, quiet)
    provider.next('discovery', answers.serverError())
    expect(await refreshNow(other, id)).toMatchObject({ status: 502 })
    expect(await tokenRow(database.pool, id)).toMatchObject({ version: 1, lease_until: null, sent_epoch: '1' })
    expect(await refreshNow(other, id), 'nor does anybody try again before its time').toMatchObject({ status: 502 })
    const query = async <Row>({ text, values }: Sql) => (await database.pool.query(text, [...values])).rows as Row[]
    const free = { usual: 4, byProvider: new Map(), total: 4 }
    expect(await claimAbandonedTokens({ query }, randomUUID(), free), 'nor does the loop').toEqual([])
    expect(await tokenRow(database.pool, id)).toMatchObject({ lease_epoch: '2' })

    sleeper.resume()
    expect(await asking).toMatchObject({ status: 200, body: { access_token: newestAccessToken(connected) } })
    expect(provider.counts()).toMatchObject({ refreshRequests: 1, supersededPresentations: 0 })
    expect(await tokenRow(database.pool, id)).toMatchObject({ version: 2, next_attempt_at: null, sent_epoch: null })
  },
)
