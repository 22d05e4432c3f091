import { expect } from 'vitest'
import type { CheckpointName } from '../src/refresher/checkpoint.ts'
import type { Connected } from './connection-scene.ts'
import { tokenRow } from './database-tools.ts'
import { type TestBroker, readToken, startTestBroker } from './harness.ts'
import { connectionOf, eventsOf } from './handshake-scene.ts'
import {
  makeDue,
  newestAccessToken,
  openOfEachPolicy,
  passLeases,
  type policies,
  refreshNow,
  spawnDoomedBroker,
  test,
  timeout,
  untilSettled,
} from './refresh-crash-scene.ts'

type Policy = keyof typeof policies

const settledRow = { sent_epoch: null, sent_at: null, lease_owner: null, lease_until: null }

/** The connection goes on, with the newest token that its provider gave. */
async function expectRefreshed(broker: TestBroker, { id }: Connected, token: string | undefined): Promise<void> {
  expect(await connectionOf(broker, id)).toMatchObject({ status: 'active', status_reason: null })
  expect((await readToken(broker, id)).body.access_token, 'the newest token is served').toBe(token)
}

/** Its user is needed, told so once, and nobody asks the provider again. */
async function expectOutcomeLost(broker: TestBroker, { id, provider }: Connected): Promise<void> {
  expect(await connectionOf(broker, id)).toMatchObject({ status: 'attention_required', status_reason: 'outcome_lost' })
  const asked = provider.counts().refreshRequests
  for (const answer of [await readToken(broker, id), await refreshNow(broker, id)]) {
    expect(answer).toMatchObject({ status: 409, body: { details: { reason: 'outcome_lost' } } })
  }
  expect(provider.counts().refreshRequests).toBe(asked)
  const fatal = (await eventsOf(broker, id)).filter(({ event }) => event === 'token_refresh_fatal')
  expect(fatal).toMatchObject([{ outcome: 'outcome_lost', token_version: 1 }])
}

/** What data.md promises of a refresh that was cut short before, respectively after, its token was presented. */
const promises = {
  unsent: { requests: 1, grace: { superseded: 0 }, strict: { superseded: 0 }, constant: { superseded: 0 } },
  sent: { requests: 2, grace: { superseded: 1 }, strict: { superseded: 1 }, constant: { superseded: 0 } },
  stored: { requests: 1, grace: { superseded: 0 }, strict: { superseded: 0 }, constant: { superseded: 0 } },
} as const

type Death = {
  readonly point: CheckpointName
  readonly promise: keyof typeof promises
  /** By whom the rest is done: a loop that looks for it, or a caller who demands it of a Broker without one. */
  readonly healedBy: 'loop' | 'demand'
}

const deaths: readonly Death[] = [
  { point: 'claimed', promise: 'unsent', healedBy: 'loop' },
  { point: 'marked', promise: 'unsent', healedBy: 'loop' },
  { point: 'sent', promise: 'sent', healedBy: 'loop' },
  { point: 'answered', promise: 'sent', healedBy: 'demand' },
  { point: 'storing', promise: 'sent', healedBy: 'loop' },
  { point: 'stored', promise: 'stored', healedBy: 'loop' },
]

const words = {
  unsent: 'nothing was presented, and all are refreshed once',
  sent: 'one presentation more, and what each provider allows is kept',
  stored: 'nothing is lost, and nothing presented again',
}

for (const { point, promise, healedBy } of deaths) {
  test(
    `[R1] [R2] killed at '${point}', done by ${healedBy}: ${words[promise]}`,
    { timeout },
    async ({ broker, database }) => {
      const connected = await openOfEachPolicy(broker)
      const all = Object.values(connected)
      const ids = all.map(({ id }) => id)
      await using dying = await spawnDoomedBroker(database, 'kill', point, ids)
      const asking = ids.map((id) => refreshNow(dying, id))
      expect(await dying.ended).toEqual({ exitCode: null, signal: 'SIGKILL' })
      expect(await Promise.all(asking)).toEqual([undefined, undefined, undefined])

      const isSent = promise !== 'unsent'
      // what was sent arrives, though whoever sent it is dead
      if (isSent) await Promise.all(all.map(({ provider }) => provider.waitForRequest('token', 2)))
      for (const { id, provider } of all) {
        expect(provider.counts().refreshRequests).toBe(isSent ? 1 : 0)
        const isMarked = point !== 'claimed' && promise !== 'stored'
        const sent_epoch = isMarked ? '1' : null
        expect(await tokenRow(database.pool, id)).toMatchObject({ sent_epoch, version: promise === 'stored' ? 2 : 1 })
      }

      await passLeases(database.pool, ids)
      // what was presented is looked for whether it is due or not
      if (point === 'claimed') await makeDue(database.pool, ids)
      await using healer = await startTestBroker(database, { env: { REFRESH_ENABLED: String(healedBy === 'loop') } })
      if (healedBy === 'demand') await Promise.all(ids.map((id) => refreshNow(healer, id)))
      for (const id of ids) await untilSettled(broker, database.pool, id)

      for (const [policy, one] of Object.entries(connected) as [Policy, Connected][]) {
        const isLost = promise === 'sent' && policy === 'strict'
        const version = isLost ? 1 : 2
        expect(await tokenRow(database.pool, one.id), policy).toMatchObject({ ...settledRow, version })
        if (isLost) await expectOutcomeLost(healer, one)
        else await expectRefreshed(healer, one, newestAccessToken(one))
        expect(one.provider.counts(), policy).toMatchObject({
          refreshRequests: promises[promise].requests,
          supersededPresentations: promises[promise][policy].superseded,
          mostConcurrentRefreshes: 1,
        })
      }
    },
  )
}
