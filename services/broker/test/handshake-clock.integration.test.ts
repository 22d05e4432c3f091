import { expect, onTestFinished, vi } from 'vitest'
import { arrive, connectionOf, openProvider, returned, test, travel } from './handshake-scene.ts'
import { readToken, startTestBroker } from './harness.ts'

/** Milliseconds since 1970 by a clock that the fake one leaves alone. */
function trueNow(): number {
  return performance.timeOrigin + performance.now()
}

test.for([
  ['ahead', 600_000],
  ['behind', -600_000],
] as const)(
  '[R9] a host whose clock is ten minutes %s connects like any other',
  async ([, wrongByMs], { database }) => {
    vi.useFakeTimers({ toFake: ['Date'], now: trueNow() + wrongByMs, shouldAdvanceTime: true })
    onTestFinished(() => void vi.useRealTimers())
    await using broker = await startTestBroker(database)
    const provider = await openProvider(broker, { provider: { now: trueNow } })
    const journey = await travel(broker, provider)
    const { iat } = JSON.parse(Buffer.from(journey.state.split('.')[0] ?? '', 'base64url').toString())
    expect(Math.abs(iat - trueNow() / 1000)).toBeLessThan(60)

    expect(returned(await arrive(journey))).toMatchObject({ status: 'success' })
    const { body } = await readToken(broker, journey.connection_id)
    expect(body).toMatchObject({ expires_in: expect.closeTo(3600, -2) })
    const { created_at } = await connectionOf(broker, journey.connection_id)
    expect(Math.abs(Date.parse(created_at) - trueNow())).toBeLessThan(60_000)
  },
)

test('[R9] an ID token is judged by the database’s clock, not by the host’s', async ({ database }) => {
  // by this host's clock the token has expired long ago
  vi.useFakeTimers({ toFake: ['Date'], now: trueNow() + 600_000, shouldAdvanceTime: true })
  onTestFinished(() => void vi.useRealTimers())
  await using broker = await startTestBroker(database)
  const seconds = Math.floor(trueNow() / 1000)
  const provider = await openProvider(broker, { provider: { now: trueNow } })
  provider.behave({ idToken: { claims: { exp: seconds + 120 } } })
  expect(returned(await arrive(await travel(broker, provider)))).toMatchObject({ status: 'success' })
  // and this one is issued ahead by the true time only
  provider.behave({ idToken: { claims: { iat: seconds + 300 } } })
  expect(returned(await arrive(await travel(broker, provider)))).toMatchObject({ error: 'provider_rejected' })
})
