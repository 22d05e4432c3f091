import { describe, expect, test } from 'vitest'
import {
  createTestClient,
  createTestTiming,
  errorBody,
  id,
  type ScriptedAnswer,
  startScriptedNexus,
} from '../test/scripted-nexus.ts'
import { createNexusClient } from './create-nexus-client.ts'

const path = `/v1/check-connection/${id}`
const status = (name: string, reason: string | null = null): ScriptedAnswer => ({
  body: { status: name, status_reason: reason },
})

test('waits until the person has connected, asking less and less often', async () => {
  await using nexus = await startScriptedNexus()
  const pending = Array.from({ length: 8 }, () => status('pending'))
  nexus.answer(path, status('pending'), ...pending, status('active'))
  const timing = createTestTiming()
  const client = createTestClient({ baseUrl: nexus.url }, timing)
  expect(await client.waitForActive(id)).toEqual({ status: 'active', statusReason: null })
  expect(timing.pauses.slice(0, 3)).toEqual([1000, 1500, 2250])
  expect(timing.pauses.at(-1)).toBe(10_000)
  expect(nexus.requests).toHaveLength(10)
})

test('a reconnect begins where attention is required, and that is waited out', async () => {
  await using nexus = await startScriptedNexus()
  nexus.answer(path, status('attention_required', 'invalid_grant'), status('active'))
  await createTestClient({ baseUrl: nexus.url }).waitForActive(id)
  expect(nexus.requests).toHaveLength(2)
})

test('a Nexus that is away longer than one call waits does not end it', async () => {
  await using nexus = await startScriptedNexus()
  const away: ScriptedAnswer = { status: 503, headers: { 'retry-after': '120' }, body: errorBody('unavailable') }
  nexus.answer(path, status('pending'), away, away, status('active'))
  expect(await createTestClient({ baseUrl: nexus.url }).waitForActive(id)).toMatchObject({ status: 'active' })
})

describe('ends when it cannot come any more', () => {
  test.each([
    ['failed', 'connection_failed', 'access_denied', 'the connection has failed: access_denied'],
    ['expired', 'connection_expired', null, 'the connection has expired'],
    ['revoked', 'connection_revoked', null, 'the connection has been revoked'],
  ])('%s', async (name, code, reason, message) => {
    await using nexus = await startScriptedNexus()
    nexus.answer(path, status('pending'), status(name, reason))
    const waiting = createTestClient({ baseUrl: nexus.url }).waitForActive(id)
    const details = { status: name, statusReason: reason }
    await expect(waiting).rejects.toMatchObject({ name: 'NexusError', code, message, details })
  })

  test('a connection that does not exist', async () => {
    await using nexus = await startScriptedNexus()
    nexus.answer(path, { status: 404, body: errorBody('connection_not_found') })
    const waiting = createTestClient({ baseUrl: nexus.url }).waitForActive(id)
    await expect(waiting).rejects.toMatchObject({ code: 'connection_not_found' })
  })
})

test('ends when the person takes too long, and says how far it was', async () => {
  await using nexus = await startScriptedNexus()
  nexus.answer(path, status('pending'))
  const waiting = createNexusClient({ baseUrl: nexus.url }).waitForActive(id, { timeoutMs: 1000 })
  await expect(waiting).rejects.toMatchObject({
    code: 'timeout',
    message: 'the connection did not become active within 1 s: it is pending',
    details: { status: 'pending' },
  })
})

test('ends with the reason of a signal, in a pause as in a call', async () => {
  await using nexus = await startScriptedNexus()
  const reason = new Error('the user has closed the window')
  const stop = new AbortController()
  nexus.answer(path, (response) => {
    response.writeHead(200, { 'content-type': 'application/json' }).end('{"status":"pending","status_reason":null}')
    setImmediate(() => stop.abort(reason))
  })
  const client = createNexusClient({ baseUrl: nexus.url })
  await expect(client.waitForActive(id, { signal: stop.signal })).rejects.toBe(reason)
  await expect(client.waitForActive(id, { signal: stop.signal })).rejects.toBe(reason)
  expect(nexus.requests).toHaveLength(1)
})
