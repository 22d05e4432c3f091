import { answers, createBrowser } from '@nexus/testing'
import { expect } from 'vitest'
import { openPlainConnection } from './connection-scene.ts'
import { tokenRow } from './database-tools.ts'
import { type Answer, isApp, readToken, requestConnection, spawnTestBroker } from './harness.ts'
import { openProvider, test } from './handshake-scene.ts'

const timeout = 60_000

test(
  '[R6] SIGTERM under load: what is in flight finishes, a spent token is stored, exit code 0',
  { timeout },
  async ({ database }) => {
    await using broker = await spawnTestBroker(database)
    const { id, provider } = await openPlainConnection(broker)
    const gate = answers.createGate('after')
    provider.next('token', gate.step)
    const refreshing = broker.post(`/connections/${id}/refresh`)
    await gate.arrived

    // readers who do not stop asking until nobody is there to answer
    const given: Answer[] = []
    const read = async (): Promise<void> => {
      for (;;) given.push(await readToken(broker, id))
    }
    const readers = Array.from({ length: 8 }, () => read().catch((error: unknown) => error))
    const stopping = broker.stop('SIGTERM')
    await broker.waitForOutput(/is draining/)
    expect(await Promise.race([stopping, Promise.resolve('still there')])).toBe('still there')
    gate.open()

    const newest = provider.secrets().findLast((secret) => secret.startsWith('access-'))
    expect(await refreshing).toMatchObject({ status: 200, body: { access_token: newest } })
    expect(await stopping).toEqual({ exitCode: 0, signal: null })
    expect(await tokenRow(database.pool, id)).toMatchObject({ version: 2, lease_owner: null, sent_epoch: null })

    await Promise.all(readers)
    for (const answer of given) {
      expect([200, 503]).toContain(answer.status)
      expect(answer.status === 200 ? '"code":"unavailable"' : answer.text).toContain('"code":"unavailable"')
    }
    expect(broker.output()).toContain('nexus-broker has stopped')
  },
)

test('[R6] SIGTERM during a code exchange: the code is followed through', { timeout }, async ({ database }) => {
  await using broker = await spawnTestBroker(database)
  const provider = await openProvider(broker)
  const { authUrl, connection_id } = await requestConnection(broker, { provider_name: provider.name })
  const gate = answers.createGate('after')
  provider.next('token', gate.step)
  const arriving = createBrowser().open(authUrl, { stopAt: isApp })
  await gate.arrived
  const stopping = broker.stop('SIGTERM')
  await broker.waitForOutput(/is draining/)
  gate.open()
  expect((await arriving).url.searchParams.get('status')).toBe('success')
  expect(await stopping).toEqual({ exitCode: 0, signal: null })
  expect(await tokenRow(database.pool, connection_id)).toMatchObject({ version: 1 })
})

test(
  '[R6] what does not finish within the grace period is given up: exit code 1',
  { timeout },
  async ({ database }) => {
    await using broker = await spawnTestBroker(database, { env: { SHUTDOWN_GRACE_SECONDS: '1' } })
    const { id, provider } = await openPlainConnection(broker)
    provider.next('token', answers.stall())
    const refreshing = broker.post(`/connections/${id}/refresh`).catch(() => 'cut off')
    await provider.waitForRequest('token', 2)
    expect(await broker.stop('SIGTERM')).toEqual({ exitCode: 1, signal: null })
    expect(await refreshing).toBe('cut off')
    expect(broker.output()).toContain(`refreshes of these connections were cut off: ${id}`)
  },
)

test(
  '[R6] while it drains it is not ready, and says so to whoever still has a connection',
  { timeout },
  async ({ database }) => {
    await using broker = await spawnTestBroker(database)
    const { id, provider } = await openPlainConnection(broker)
    const gate = answers.createGate('after')
    provider.next('token', gate.step)
    const refreshing = broker.post(`/connections/${id}/refresh`)
    await gate.arrived
    const stopping = broker.stop('SIGTERM')
    await broker.waitForOutput(/is draining/)
    const late = await Promise.allSettled([
      broker.get('/health/ready'),
      broker.get('/connections'),
      broker.get('/health'),
    ])
    for (const outcome of late) {
      // a connection that was open is answered, a new one is not accepted
      expect(['refused', 200, 503]).toContain(outcome.status === 'fulfilled' ? outcome.value.status : 'refused')
    }
    const [ready] = late
    const said = ready?.status === 'fulfilled' ? ready.value.body : { status: 'draining' }
    expect(said).toMatchObject({ status: 'draining' })
    gate.open()
    expect((await refreshing).status).toBe(200)
    expect((await stopping).exitCode).toBe(0)
  },
)
