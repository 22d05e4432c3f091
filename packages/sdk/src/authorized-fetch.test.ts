import { inspect } from 'node:util'
import { type ApiServer, type Credential, startApiServer } from '@nexus/testing'
import { describe, expect, test } from 'vitest'
import {
  createTestClient,
  createTestTiming,
  errorBody,
  id,
  metadataBody,
  providerId,
  oauthBody,
  type ScriptedAnswer,
  type ScriptedNexus,
  startScriptedNexus,
  staticBody,
} from '../test/scripted-nexus.ts'
import type { AuthorizedFetchOptions } from './client.ts'

const tokenPath = `/v1/token/${id}`
const refreshPath = `/v1/refresh/${id}`
const bearer = (token: string): Credential => ({ kind: 'header', name: 'authorization', value: `Bearer ${token}` })
const key = (value: string): Credential => ({ kind: 'header', name: 'x-key', value })
const queryBody = (value: string) => ({
  strategy: { type: 'query_param', config: { param_name: 'key' } },
  credentials: { api_key: value },
  provider: 'acme',
  provider_id: providerId,
})

/** A Gateway with the first credential, an API that accepts it, and a fetch between them. */
async function startScene(first: object, credential: Credential, options: AuthorizedFetchOptions = {}) {
  const nexus = await startScriptedNexus()
  const api = await startApiServer(credential)
  nexus.answer(tokenPath, { body: first })
  nexus.answer('/v1/providers/metadata', { body: metadataBody(`${api.url}/v1`) })
  const timing = createTestTiming()
  const authorized = createTestClient({ baseUrl: nexus.url }, timing).createAuthorizedFetch(id, options)
  const dispose = async (): Promise<void> => {
    await nexus[Symbol.asyncDispose]()
    await api[Symbol.asyncDispose]()
  }
  return { nexus, api, timing, authorized, [Symbol.asyncDispose]: dispose }
}

const reads = (nexus: ScriptedNexus): number => nexus.requestsTo(tokenPath).length
const refreshes = (nexus: ScriptedNexus): number => nexus.requestsTo(refreshPath).length
const faults = (api: ApiServer) => api.requests.map(({ fault }) => fault)

describe('the credential is held', () => {
  test('until a minute before it expires', async () => {
    await using scene = await startScene(oauthBody('one', 600), bearer('one'))
    const { nexus, api, timing, authorized } = scene
    await authorized(`${api.url}/a`)
    timing.advance(539_000)
    await authorized(`${api.url}/b`)
    expect(reads(nexus)).toBe(1)
    nexus.answer(tokenPath, { body: oauthBody('two', 600) })
    api.accept(bearer('two'))
    timing.advance(2000)
    expect((await authorized(`${api.url}/c`)).status).toBe(200)
    expect(reads(nexus)).toBe(2)
    expect(nexus.requestsTo('/v1/providers/metadata')).toHaveLength(1)
  })

  test.each([
    ['a static one', staticBody('k'), key('k')],
    ['a token that does not say when it expires', oauthBody('at', null), bearer('at')],
  ])('%s: for a minute, so that a disconnect is felt', async (_, body, credential) => {
    await using scene = await startScene(body, credential)
    const { nexus, api, timing, authorized } = scene
    await authorized(api.url)
    timing.advance(59_000)
    await authorized(api.url)
    expect(reads(nexus)).toBe(1)
    nexus.answer(tokenPath, { status: 409, body: errorBody('connection_not_active', { status: 'revoked' }) })
    timing.advance(2000)
    await expect(authorized(api.url)).rejects.toMatchObject({ code: 'connection_not_active' })
    expect(api.requests).toHaveLength(2)
  })

  test('not at all when it expires within the minute', async () => {
    await using scene = await startScene(oauthBody('at', 60), bearer('at'))
    const { nexus, api, authorized } = scene
    await authorized(api.url)
    await authorized(api.url)
    expect(reads(nexus)).toBe(2)
  })

  test('for as long as cacheSeconds says', async () => {
    await using scene = await startScene(staticBody('k'), key('k'), { cacheSeconds: 5 })
    const { nexus, api, timing, authorized } = scene
    await authorized(api.url)
    timing.advance(5001)
    await authorized(api.url)
    expect(reads(nexus)).toBe(2)
  })

  test('and read once for many who need it at the same moment; one who gives up takes it from nobody', async () => {
    await using scene = await startScene(oauthBody('at'), bearer('at'))
    const { nexus, api, authorized } = scene
    const stop = new AbortController()
    nexus.answer(tokenPath, (response) => {
      stop.abort(new Error('given up'))
      response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(oauthBody('at')))
    })
    const given = authorized(api.url, { signal: stop.signal })
    const others = Promise.all(Array.from({ length: 5 }, () => authorized(api.url)))
    await expect(given).rejects.toThrow('given up')
    expect((await others).map(({ status }) => status)).toEqual([200, 200, 200, 200, 200])
    expect(reads(nexus)).toBe(1)
  })

  test('and a failure to read it is forgotten', async () => {
    await using scene = await startScene(oauthBody('at'), bearer('at'))
    const { nexus, api, authorized } = scene
    nexus.answer(tokenPath, { status: 409, body: errorBody('attention_required') }, { body: oauthBody('at') })
    await expect(authorized(api.url)).rejects.toMatchObject({ code: 'attention_required' })
    expect((await authorized(api.url)).status).toBe(200)
  })
})

describe('401 for an OAuth token', () => {
  test('refreshes once, and the request is sent again', async () => {
    await using scene = await startScene(oauthBody('old'), bearer('new'))
    const { nexus, api, authorized } = scene
    nexus.answer(refreshPath, { body: oauthBody('new') })
    const response = await authorized(`${api.url}/x`, { method: 'POST', body: 'kept' })
    expect(await response.json()).toEqual({ method: 'POST', target: '/x', body: 'kept' })
    expect(faults(api)).toEqual(['another header authorization', undefined])
    expect((await authorized(api.url)).status).toBe(200)
    expect([reads(nexus), refreshes(nexus)]).toEqual([1, 1])
  })

  test('many at once cause one refresh', async () => {
    await using scene = await startScene(oauthBody('old'), bearer('new'))
    const { nexus, api, authorized } = scene
    nexus.answer(refreshPath, { body: oauthBody('new') })
    const responses = await Promise.all(Array.from({ length: 8 }, () => authorized(api.url)))
    expect(responses.map(({ status }) => status)).toEqual(responses.map(() => 200))
    expect(refreshes(nexus)).toBe(1)
  })

  test('again with the new token is given back, and not refreshed for again until half a minute later', async () => {
    await using scene = await startScene(oauthBody('old'), bearer('none of these'))
    const { nexus, api, timing, authorized } = scene
    nexus.answer(refreshPath, { body: oauthBody('new') }, { body: oauthBody('newer') })
    const response = await authorized(api.url)
    expect(await response.json()).toEqual({ error: 'another header authorization' })
    expect((await authorized(api.url)).status).toBe(401)
    expect([api.requests.length, refreshes(nexus)]).toEqual([3, 1])
    timing.advance(31_000)
    await authorized(api.url)
    expect(refreshes(nexus)).toBe(2)
  })

  test('when Nexus has none to give: its error says why, and the next request hears it too', async () => {
    await using scene = await startScene(oauthBody('old'), bearer('new'))
    const { nexus, api, authorized } = scene
    const refused: ScriptedAnswer = { status: 409, body: errorBody('attention_required') }
    nexus.answer(refreshPath, refused)
    await expect(authorized(api.url)).rejects.toMatchObject({ code: 'attention_required' })
    nexus.answer(tokenPath, refused)
    await expect(authorized(api.url)).rejects.toMatchObject({ code: 'attention_required' })
    expect(api.requests).toHaveLength(1)
  })
})

describe('401 for a static credential', () => {
  test('reads it again, and repeats the request when somebody has changed it', async () => {
    await using scene = await startScene(staticBody('old'), key('new'))
    const { nexus, api, authorized } = scene
    nexus.answer(tokenPath, { body: staticBody('old') }, { body: staticBody('new') })
    expect((await authorized(api.url)).status).toBe(200)
    expect([api.requests.length, reads(nexus), refreshes(nexus)]).toEqual([2, 2, 0])
  })

  test('reads it again, and gives the 401 back when it is still the same', async () => {
    await using scene = await startScene(staticBody('old'), key('new'))
    const { nexus, api, authorized } = scene
    expect((await authorized(api.url)).status).toBe(401)
    expect((await authorized(api.url)).status).toBe(401)
    expect([api.requests.length, reads(nexus)]).toEqual([2, 2])
  })
})

describe('a body that can be sent once', () => {
  const text = (): ReadableStream => new Blob(['streamed']).stream()
  test.each<[string, (url: string) => [string | Request, RequestInit?]]>([
    ['a stream', (url) => [url, { method: 'POST', body: text(), duplex: 'half' }]],
    ['the body of a Request', (url) => [new Request(url, { method: 'POST', body: 'streamed' })]],
  ])('%s: the 401 is given back, and the next request has the new token', async (_, make) => {
    await using scene = await startScene(oauthBody('old'), bearer('new'))
    const { nexus, api, authorized } = scene
    nexus.answer(refreshPath, { body: oauthBody('new') })
    expect((await authorized(...make(api.url))).status).toBe(401)
    expect((await authorized(...make(api.url))).status).toBe(200)
    expect(api.requests.map(({ body }) => body.toString())).toEqual(['streamed', 'streamed'])
  })

  test.each<[string, NonNullable<RequestInit['body']>]>([
    ['bytes', new TextEncoder().encode('a=b')],
    ['a form', new URLSearchParams({ a: 'b' })],
    ['a blob', new Blob(['a=b'])],
  ])('%s is none: it is sent again', async (_, body) => {
    await using scene = await startScene(oauthBody('old'), bearer('new'))
    const { nexus, api, authorized } = scene
    nexus.answer(refreshPath, { body: oauthBody('new') })
    expect((await authorized(api.url, { method: 'POST', body })).status).toBe(200)
    expect(api.requests.map((request) => request.body.toString())).toEqual(['a=b', 'a=b'])
  })

  test('a multipart form is sent again too', async () => {
    await using scene = await startScene(oauthBody('old'), bearer('new'))
    const { nexus, api, authorized } = scene
    nexus.answer(refreshPath, { body: oauthBody('new') })
    const body = new FormData()
    body.set('file', new Blob(['content']), 'a.txt')
    expect((await authorized(api.url, { method: 'POST', body })).status).toBe(200)
    expect(api.requests.every((request) => request.body.includes('content'))).toBe(true)
  })
})

describe('the credential goes nowhere else', () => {
  test("than to the origin of the profile's api_base_url", async () => {
    await using scene = await startScene(staticBody('k'), key('k'))
    await using other = await startApiServer(key('k'))
    const sent = scene.authorized(`${other.url}/collect`)
    await expect(sent).rejects.toMatchObject({ code: 'origin_not_allowed', details: { origin: other.url } })
    await expect(scene.authorized('http://127.0.0.1.evil.example/')).rejects.toMatchObject({
      code: 'origin_not_allowed',
    })
    expect([...other.requests, ...scene.api.requests]).toEqual([])
  })

  test('than to the origins that are named, which then are all', async () => {
    await using other = await startApiServer(key('k'))
    await using scene = await startScene(staticBody('k'), key('k'), { allowedOrigins: [`${other.url}/path`] })
    expect((await scene.authorized(other.url)).status).toBe(200)
    await expect(scene.authorized(scene.api.url)).rejects.toMatchObject({ code: 'origin_not_allowed' })
    expect(scene.nexus.requestsTo('/v1/providers/metadata')).toHaveLength(0)
  })

  test.each([
    ['has no api_base_url', () => metadataBody(null)],
    ['is gone', () => ({ oauth2: {} })],
    ['is gone, and another one has its name', (url: string) => metadataBody(url, `${providerId.slice(0, -1)}f`)],
  ])('and nowhere while nobody has said where: the profile %s', async (_, metadata) => {
    await using scene = await startScene(staticBody('k'), key('k'))
    scene.nexus.answer('/v1/providers/metadata', { body: metadata(scene.api.url) })
    await expect(scene.authorized(scene.api.url)).rejects.toThrow(/allowedOrigins/)
    expect(scene.api.requests).toEqual([])
    scene.nexus.answer('/v1/providers/metadata', { body: metadataBody(scene.api.url) })
    expect((await scene.authorized(scene.api.url)).status).toBe(200)
  })

  test('a list of providers that cannot be had just now is asked for again', async () => {
    await using scene = await startScene(staticBody('k'), key('k'))
    const { nexus, api, authorized } = scene
    const good = { body: metadataBody(api.url) }
    nexus.answer('/v1/providers/metadata', { status: 500, body: errorBody('internal') }, good)
    await expect(authorized(api.url)).rejects.toMatchObject({ code: 'internal' })
    expect((await authorized(api.url)).status).toBe(200)
  })

  test.each(['api.example.com', 'file:///etc', ''])('%j is no origin', async (origin) => {
    const client = createTestClient({ baseUrl: 'http://127.0.0.1:1' })
    expect(() => client.createAuthorizedFetch(id, { allowedOrigins: [origin] })).toThrow(TypeError)
  })
})

describe('a redirect', () => {
  const redirectTo = (api: ApiServer, path: string, status: number, location: string): void =>
    api.handle(path, (_, response) => void response.writeHead(status, { location }).end())

  test('to another origin is given back as it came, and nothing is sent there', async () => {
    await using scene = await startScene(staticBody('k'), key('k'))
    await using other = await startApiServer(key('k'))
    redirectTo(scene.api, '/file', 302, `${other.url}/download`)
    const response = await scene.authorized(`${scene.api.url}/file`)
    expect(response.status).toBe(302)
    expect(response.headers.get('location')).toBe(`${other.url}/download`)
    expect(other.requests).toEqual([])
  })

  test.each([
    [301, 'GET', 'GET', ''],
    [302, 'POST', 'GET', ''],
    [303, 'PUT', 'GET', ''],
    [307, 'POST', 'POST', 'kept'],
    [308, 'PUT', 'PUT', 'kept'],
  ])('%i within the API: %s is followed by %s, with the credential', async (status, method, becomes, body) => {
    await using scene = await startScene(staticBody('k'), key('k'))
    redirectTo(scene.api, '/old', status, '/new?x=1')
    const init = method === 'GET' ? { method } : { method, body: 'kept', headers: { 'content-type': 'text/x' } }
    const response = await scene.authorized(`${scene.api.url}/old`, init)
    expect(await response.json()).toEqual({ method: becomes, target: '/new?x=1', body })
    const type = scene.api.requests[1]?.headers.find(([name]) => name.toLowerCase() === 'content-type')?.[1]
    expect(type).toBe(body === '' ? undefined : 'text/x')
  })

  test('is signed anew', async () => {
    const aws = { kind: 'aws', accessKey: 'a', secretKey: 's', service: 'x', region: 'us-east-1' } as const
    const strategy = { type: 'aws_sigv4', config: { service: 'x' } }
    const body = {
      strategy,
      credentials: { access_key: 'a', secret_key: 's' },
      provider: 'acme',
      provider_id: providerId,
    }
    await using scene = await startScene(body, aws)
    redirectTo(scene.api, '/old', 307, '/new')
    expect((await scene.authorized(`${scene.api.url}/old`, { method: 'POST', body: 'b' })).status).toBe(200)
    expect(faults(scene.api)).toEqual([undefined, undefined])
  })

  test('that repeats the credential in its query is followed', async () => {
    await using scene = await startScene(queryBody('k'), { kind: 'query', name: 'key', value: 'k' })
    redirectTo(scene.api, '/old', 301, '/new?key=k&page=2')
    const response = await scene.authorized(`${scene.api.url}/old`)
    expect(await response.json()).toMatchObject({ target: '/new?page=2&key=k' })
  })

  test('with a body that is spent is given back', async () => {
    await using scene = await startScene(staticBody('k'), key('k'))
    redirectTo(scene.api, '/old', 307, '/new')
    const request = new Request(`${scene.api.url}/old`, { method: 'POST', body: 'once' })
    expect((await scene.authorized(request)).status).toBe(307)
  })

  test('is given back to who wants to see it, and an error to who wants none', async () => {
    await using scene = await startScene(staticBody('k'), key('k'))
    redirectTo(scene.api, '/old', 302, '/new')
    expect((await scene.authorized(`${scene.api.url}/old`, { redirect: 'manual' })).status).toBe(302)
    const refused = scene.authorized(`${scene.api.url}/old`, { redirect: 'error' })
    await expect(refused).rejects.toMatchObject({ code: 'network_error' })
  })

  test('in a circle ends', async () => {
    await using scene = await startScene(staticBody('k'), key('k'))
    redirectTo(scene.api, '/a', 302, '/a')
    await expect(scene.authorized(`${scene.api.url}/a`)).rejects.toThrow('more than 10 redirects')
    expect(scene.api.requests).toHaveLength(11)
  })
})

describe('what the API does', () => {
  test('a credential in the query is not in the URL of the response, nor in its copies, nor when they are logged', async () => {
    await using scene = await startScene(queryBody('canary'), { kind: 'query', name: 'key', value: 'canary' })
    const response = await scene.authorized(`${scene.api.url}/list?page=1`)
    const copy = response.clone()
    for (const one of [response, copy, copy.clone()]) {
      expect(one.url).toBe(`${scene.api.url}/list?page=1`)
      expect(inspect(one, { depth: null })).not.toContain('canary')
    }
    expect(await copy.json()).toMatchObject({ target: '/list?page=1&key=canary' })
    expect(await response.json(), 'a copy leaves its original to be read').toMatchObject({
      target: '/list?page=1&key=canary',
    })
  })

  test('an API that cannot be reached is a network error, which for a credential in the query has no cause', async () => {
    await using scene = await startScene(queryBody('canary'), key('-'), { allowedOrigins: ['http://127.0.0.1:1'] })
    const error: unknown = await scene.authorized('http://127.0.0.1:1/x').catch((reason: unknown) => reason)
    expect(error).toMatchObject({
      code: 'network_error',
      message: 'no answer from http://127.0.0.1:1',
    })
    expect((error as Error).cause).toBeUndefined()
    expect(inspect(error, { depth: null })).not.toContain('canary')
  })

  test('an abort ends the request with its own reason', async () => {
    await using scene = await startScene(staticBody('k'), key('k'))
    const stop = new AbortController()
    const reason = new Error('enough')
    scene.api.handle('/slow', () => stop.abort(reason))
    await expect(scene.authorized(`${scene.api.url}/slow`, { signal: stop.signal })).rejects.toBe(reason)
  })

  test('a fetch of your own is used', async () => {
    const seen: string[] = []
    const own: typeof fetch = (input, init) => {
      seen.push(input instanceof Request ? input.url : String(input))
      return fetch(input, init)
    }
    await using scene = await startScene(staticBody('k'), key('k'), { fetch: own })
    await scene.authorized(`${scene.api.url}/x`)
    expect(seen).toEqual([`${scene.api.url}/x`])
  })
})
