import { describe, expect, test } from 'vitest'
import {
  createTestClient,
  createTestTiming,
  errorBody,
  id,
  oauthBody,
  type ScriptedAnswer,
  startScriptedNexus,
} from '../test/scripted-nexus.ts'
import { createNexusClient } from './create-nexus-client.ts'
import type { NexusError } from './errors.ts'

const path = `/v1/token/${id}`
const good = { body: oauthBody('at') }
const away: ScriptedAnswer = { status: 503, body: errorBody('unavailable') }

async function failureOf(promise: Promise<unknown>): Promise<NexusError> {
  return (await promise.then(
    () => expect.fail('did not fail'),
    (error: unknown) => error,
  )) as NexusError
}

test('an error of Nexus is thrown with its code, status, details, request id and Retry-After', async () => {
  await using nexus = await startScriptedNexus()
  const body = errorBody('connection_not_active', { status: 'revoked' })
  nexus.answer(path, { status: 409, headers: { 'retry-after': '7' }, body })
  expect(await failureOf(createTestClient({ baseUrl: nexus.url }).getToken(id))).toMatchObject({
    name: 'NexusError',
    code: 'connection_not_active',
    message: 'this is connection_not_active',
    status: 409,
    requestId: 'r-1',
    details: { status: 'revoked' },
    retryAfterSeconds: 7,
  })
  expect(nexus.requests, 'what will not change is not asked again').toHaveLength(1)
})

test('a code that this version does not know is told apart, with its name', async () => {
  await using nexus = await startScriptedNexus()
  nexus.answer(path, { status: 418, body: errorBody('teapot', { short: true }) })
  expect(await failureOf(createTestClient({ baseUrl: nexus.url }).getToken(id))).toMatchObject({
    code: 'unknown_code',
    message: 'this is teapot',
    details: { short: true, code: 'teapot' },
  })
})

describe('what is not an answer of Nexus is a clear error, and its text is not repeated', () => {
  test.each<[string, ScriptedAnswer, RegExp]>([
    ['a page of a proxy', { status: 403, body: '<html>canary</html>' }, /403 \(text\/html\) is not Nexus/],
    ['a page with 200', { body: '<html>canary</html>' }, /200 \(text\/html\)/],
    ['JSON that is no object', { body: ['canary'] }, /200 \(application\/json\)/],
    ['JSON of somebody else', { status: 404, body: { error: 'canary' } }, /404/],
    ['an empty answer', (response) => void response.writeHead(204).end(), /204 \(no content type\)/],
    [
      'a redirect',
      { status: 301, headers: { location: 'https://other.example/canary' } },
      /redirected to https:\/\/other\.example \(301\)/,
    ],
    ['a field that is missing', { body: { ...oauthBody('canary'), provider: undefined } }, /^provider in the answer/],
    [
      'a strategy of a newer Nexus',
      { body: { ...oauthBody('canary'), strategy: { type: 'mtls' } } },
      /^type in the answer/,
    ],
  ])('%s', async (_, answer, message) => {
    await using nexus = await startScriptedNexus()
    nexus.answer(path, answer)
    const error = await failureOf(createTestClient({ baseUrl: nexus.url, token: 't' }).getToken(id))
    expect(error).toMatchObject({ code: 'unexpected_answer', message: expect.stringMatching(message) as string })
    expect(`${String(error)} ${JSON.stringify(error)} ${String(error.cause)}`).not.toContain('canary')
    expect(nexus.requests).toHaveLength(1)
  })
})

describe('a read is repeated when the fault may be over in a moment', () => {
  test.each<[string, ScriptedAnswer]>([
    ['503 of Nexus', away],
    ['502 of the Gateway', { status: 502, body: errorBody('broker_unavailable') }],
    ['429', { status: 429, headers: { 'retry-after': '1' }, body: errorBody('rate_limited') }],
    ['a proxy whose service is away', { status: 502, body: '<html>Bad Gateway</html>' }],
    ['a connection that breaks before the answer', (response) => void response.destroy()],
    [
      'a body that breaks off',
      (response) => {
        response.writeHead(200, { 'content-type': 'application/json', 'content-length': '500' })
        response.write('{"strategy":')
        setImmediate(() => response.destroy())
      },
    ],
  ])('%s', async (_, fault) => {
    await using nexus = await startScriptedNexus()
    nexus.answer(path, fault, good)
    expect(await createTestClient({ baseUrl: nexus.url }).getToken(id)).toMatchObject({ accessToken: 'at' })
    expect(nexus.requests).toHaveLength(2)
  })

  test('with pauses that grow, differ, and keep to Retry-After', async () => {
    await using nexus = await startScriptedNexus()
    const asked = { status: 503, headers: { 'retry-after': '3' }, body: errorBody('unavailable') }
    nexus.answer(path, away, away, away, asked, good)
    const early = createTestTiming(0)
    await createTestClient({ baseUrl: nexus.url }, early).getToken(id)
    expect(early.pauses).toEqual([100, 200, 400, 3800])

    nexus.answer(path, away, away, away, asked, good)
    const late = createTestTiming(1)
    await createTestClient({ baseUrl: nexus.url }, late).getToken(id)
    expect(late.pauses).toEqual([200, 400, 800, 4600])
  })

  test('until the whole call has taken its time', async () => {
    await using nexus = await startScriptedNexus()
    nexus.answer(path, away)
    const timing = createTestTiming()
    const client = createTestClient({ baseUrl: nexus.url, timeouts: { total: 10_000 } }, timing)
    expect(await failureOf(client.getToken(id))).toMatchObject({ code: 'unavailable' })
    const waited = timing.pauses.reduce((sum, pause) => sum + pause, 0)
    expect(waited).toBeGreaterThan(4000)
    expect(waited).toBeLessThan(10_000)
  })

  test('not when Nexus asks to come back later than that', async () => {
    await using nexus = await startScriptedNexus()
    nexus.answer(path, { status: 503, headers: { 'retry-after': '120' }, body: errorBody('unavailable') })
    expect(await failureOf(createTestClient({ baseUrl: nexus.url }).getToken(id))).toMatchObject({
      retryAfterSeconds: 120,
    })
    expect(nexus.requests).toHaveLength(1)
  })
})

test('a pause that ends after the call has taken its time ends it with the failure before', async () => {
  await using nexus = await startScriptedNexus()
  nexus.answer(path, away)
  const timing = createTestTiming()
  const late = {
    ...timing,
    async pause(milliseconds: number) {
      timing.advance(milliseconds + 60_000)
    },
  }
  const client = createTestClient({ baseUrl: nexus.url, timeouts: { total: 10_000 } }, late)
  expect(await failureOf(client.getToken(id))).toMatchObject({ code: 'unavailable', status: 503 })
  expect(nexus.requests).toHaveLength(1)
})

test('DELETE is repeated', async () => {
  await using nexus = await startScriptedNexus()
  nexus.answer(`/v1/connections/${id}`, away, { body: { revoked_at_provider: true, revocation: 'done' } })
  await createTestClient({ baseUrl: nexus.url }).disconnect(id)
  expect(nexus.requests).toHaveLength(2)
})

describe('a forced refresh', () => {
  const refreshPath = `/v1/refresh/${id}`

  test('is repeated when Nexus says that it has not begun and when to come again', async () => {
    await using nexus = await startScriptedNexus()
    const busy = { status: 503, headers: { 'retry-after': '2' }, body: errorBody('refresh_in_progress') }
    nexus.answer(refreshPath, busy, good)
    expect(await createTestClient({ baseUrl: nexus.url }).refresh(id)).toMatchObject({ accessToken: 'at' })
    expect(nexus.requests).toHaveLength(2)
  })

  test.each<[string, ScriptedAnswer, string]>([
    ['a 503 that does not say when', away, 'unavailable'],
    [
      'a 502',
      { status: 502, headers: { 'retry-after': '2' }, body: errorBody('provider_unavailable') },
      'provider_unavailable',
    ],
    ['an answer that never came', (response) => void response.destroy(), 'network_error'],
  ])('is not repeated after %s: it may have cost a token', async (_, answer, code) => {
    await using nexus = await startScriptedNexus()
    nexus.answer(refreshPath, answer, good)
    expect(await failureOf(createTestClient({ baseUrl: nexus.url }).refresh(id))).toMatchObject({ code })
    expect(nexus.requests).toHaveLength(1)
  })
})

test('Retry-After may be a date', async () => {
  await using nexus = await startScriptedNexus()
  const date = new Date(Date.now() + 90_000).toUTCString()
  nexus.answer(path, { status: 503, headers: { 'retry-after': date }, body: errorBody('unavailable') })
  const { retryAfterSeconds } = await failureOf(createTestClient({ baseUrl: nexus.url }).getToken(id))
  expect(retryAfterSeconds).toBeGreaterThan(80)
  expect(retryAfterSeconds).toBeLessThan(91)
})

test('nobody listening is a network error that names the host', async () => {
  const nexus = await startScriptedNexus()
  await nexus[Symbol.asyncDispose]()
  const error = await failureOf(createTestClient({ baseUrl: nexus.url, timeouts: { total: 1000 } }).getToken(id))
  expect(error).toMatchObject({ code: 'network_error', status: undefined })
  expect(error.message).toMatch(/^Nexus at 127\.0\.0\.1:\d+ cannot be reached \([A-Z_]+\)$/)
  expect(error.message).toContain(new URL(nexus.url).host)
  expect(error.cause).toBeDefined()
})

describe('time', () => {
  test('an answer that does not come is a timeout', async () => {
    await using nexus = await startScriptedNexus()
    nexus.answer(path, () => undefined)
    const client = createNexusClient({ baseUrl: nexus.url, timeouts: { provider: 40, total: 60 } })
    expect(await failureOf(client.getToken(id))).toMatchObject({ code: 'timeout' })
  })

  test('so is a body that stands still', async () => {
    await using nexus = await startScriptedNexus()
    nexus.answer(path, (response) => {
      response.writeHead(200, { 'content-type': 'application/json' })
      response.write('{')
    })
    const client = createNexusClient({ baseUrl: nexus.url, timeouts: { provider: 40, total: 60 } })
    expect(await failureOf(client.getToken(id))).toMatchObject({ code: 'timeout' })
  })

  test('a signal ends a call with its own reason: before it, in it, and in a pause', async () => {
    await using nexus = await startScriptedNexus()
    const reason = new Error('enough')
    const early = createNexusClient({ baseUrl: nexus.url }).getToken(id, { signal: AbortSignal.abort(reason) })
    expect(await failureOf(early)).toBe(reason)
    expect(nexus.requests).toHaveLength(0)

    const during = new AbortController()
    nexus.answer(path, () => during.abort(reason))
    const call = createNexusClient({ baseUrl: nexus.url }).getToken(id, { signal: during.signal })
    expect(await failureOf(call)).toBe(reason)

    const between = new AbortController()
    nexus.answer(path, (response) => {
      const body = JSON.stringify(errorBody('unavailable'))
      response.writeHead(503, { 'content-type': 'application/json', 'retry-after': '30' }).end(body)
      setImmediate(() => between.abort(reason))
    })
    const paused = createNexusClient({ baseUrl: nexus.url }).getToken(id, { signal: between.signal })
    expect(await failureOf(paused)).toBe(reason)
  })
})
