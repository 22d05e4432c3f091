import { expect, test } from 'vitest'
import { createDiscoveryCache } from './discovery-cache.ts'

const issuer = 'https://idp.test/tenant'
const asked = { issuer, issuerTemplate: undefined }
const openidUrl = 'https://idp.test/tenant/.well-known/openid-configuration'
const oauthUrl = 'https://idp.test/.well-known/oauth-authorization-server/tenant'
const honest = {
  issuer,
  authorization_endpoint: 'https://idp.test/authorize',
  token_endpoint: 'https://idp.test/token',
  jwks_uri: 'https://idp.test/jwks',
}

type Answer = () => Response | Promise<Response>

/** A cache over a network of which the test plays the other side; `answers` are used up in order. */
function createScene({ maxEntries = 10 } = {}) {
  const scene = { time: 0, urls: [] as string[], answers: [] as Answer[] }
  const cache = createDiscoveryCache({
    fetch: async (url) => {
      scene.urls.push(url)
      const honestHere = { ...honest, issuer: url.replace(/\/\.well-known\/.*/, '') }
      return scene.answers.shift()?.() ?? Response.json(url === oauthUrl ? honest : honestHere)
    },
    now: () => Date.UTC(2026, 10, 22),
    monotonicNow: () => scene.time,
    maxEntries,
  })
  return { scene, cache }
}

test('[P2] reads the metadata of an issuer at the OpenID path', async () => {
  const { scene, cache } = createScene()
  expect(await cache.find(asked)).toEqual({
    issuer,
    authorizationEndpoint: 'https://idp.test/authorize',
    tokenEndpoint: 'https://idp.test/token',
    jwksUri: 'https://idp.test/jwks',
    revocationEndpoint: undefined,
    promisesIss: false,
    tokenEndpointAuthMethods: undefined,
  })
  expect(scene.urls).toEqual([openidUrl])
})

test('[P2] goes on to the path of RFC 8414 where there is none, and only then', async () => {
  const { scene, cache } = createScene()
  scene.answers.push(() => new Response(null, { status: 404 }))
  await cache.find(asked)
  expect(scene.urls).toEqual([openidUrl, oauthUrl])

  const other = createScene()
  other.scene.answers.push(() => new Response(null, { status: 503, headers: { 'retry-after': '9' } }))
  await expect(other.cache.find(asked)).rejects.toMatchObject({
    kind: 'unavailable',
    status: 503,
    retryAfterSeconds: 9,
  })
  expect(other.scene.urls).toEqual([openidUrl])
})

test.each([
  ['a slash more', `${issuer}/`],
  ['another host', 'https://evil.test/tenant'],
  ['another case', 'https://IDP.test/tenant'],
  ['none', undefined],
  ['a list', [issuer]],
])('[P2] refuses a document whose issuer has %s', async (_, claimed) => {
  const { scene, cache } = createScene()
  scene.answers.push(() => Response.json({ ...honest, issuer: claimed }))
  await expect(cache.find(asked)).rejects.toMatchObject({ kind: 'invalid_answer', message: /names another issuer/ })
})

test('[P2] a template issuer is accepted for a profile that has it, and for no other', async () => {
  const issuerTemplate = 'https://idp.test/{tenantid}'
  const { scene, cache } = createScene()
  const answer = (): Response => Response.json({ ...honest, issuer: issuerTemplate })
  scene.answers.push(answer, answer)
  expect(await cache.find({ issuer, issuerTemplate })).toMatchObject({ issuer: issuerTemplate })
  await expect(cache.find(asked)).rejects.toMatchObject({ kind: 'invalid_answer' })
})

test.each([
  ['no token_endpoint', { token_endpoint: undefined }],
  ['no authorization_endpoint', { authorization_endpoint: undefined }],
  ['an endpoint without TLS', { token_endpoint: 'http://idp.test/token' }],
  ['a key set without TLS', { jwks_uri: 'http://idp.test/jwks' }],
  ['a script as endpoint', { authorization_endpoint: 'javascript:alert(1)' }],
  ['an endpoint that is no text', { token_endpoint: { a: 1 } }],
])('[P2] refuses a document of an https issuer with %s', async (_, change) => {
  const { scene, cache } = createScene()
  scene.answers.push(() => Response.json({ ...honest, ...change }))
  await expect(cache.find(asked)).rejects.toMatchObject({ kind: 'invalid_answer' })
})

test('[P2] refuses what is no JSON object, without a word of it', async () => {
  for (const body of ['<html>CANARY', '["CANARY"]', '"CANARY"', 'null']) {
    const { scene, cache } = createScene()
    scene.answers.push(() => new Response(body, { headers: { 'content-type': 'application/json' } }))
    const error: unknown = await cache.find(asked).catch((reason: unknown) => reason)
    expect(error).toMatchObject({ kind: 'invalid_answer' })
    expect(String(error)).not.toContain('CANARY')
  }
})

test('[P2] concurrent callers share one fetch, failures included', async () => {
  const { scene, cache } = createScene()
  scene.answers.push(() => new Response(null, { status: 500 }))
  const outcomes = await Promise.allSettled([cache.find(asked), cache.find(asked), cache.find(asked)])
  expect(outcomes.map(({ status }) => status)).toEqual(['rejected', 'rejected', 'rejected'])
  expect(scene.urls).toHaveLength(1)
})

test('[P2] a failure is not cached', async () => {
  const { scene, cache } = createScene()
  scene.answers.push(
    () => Promise.reject(new Error('network')),
    () => Response.json({ ...honest, issuer: 'x' }),
  )
  await expect(cache.find(asked)).rejects.toThrow('network')
  await expect(cache.find(asked)).rejects.toThrow('names another issuer')
  await expect(cache.find(asked)).resolves.toMatchObject({ issuer })
  expect(scene.urls).toHaveLength(3)
})

const minute = 60_000
const hour = 60 * minute

test.each([
  ['nothing', undefined, hour],
  ['max-age within bounds', 'public, max-age=1800', 30 * minute],
  ['a short max-age', 'max-age=1', 5 * minute],
  ['a long max-age', 'max-age=31536000', 24 * hour],
  ['an endless max-age', 'max-age=9999999999', 24 * hour],
  ['no-store', 'no-store', 5 * minute],
  ['no-cache with max-age', 'no-cache, max-age=86400', 5 * minute],
  ['only s-maxage', 's-maxage=60', hour],
])('[P2] Cache-Control with %s keeps a document for the right time', async (_, header, lifetime) => {
  const { scene, cache } = createScene()
  const headers = header === undefined ? {} : { 'cache-control': header }
  scene.answers.push(() => Response.json(honest, { headers }))
  await cache.find(asked)
  scene.time = lifetime - 1
  await cache.find(asked)
  expect(scene.urls, 'still cached').toHaveLength(1)
  scene.time = lifetime
  await cache.find(asked)
  expect(scene.urls, 'fetched again').toHaveLength(2)
})

test('[P2] a late answer does not overwrite a newer one', async () => {
  const { scene, cache } = createScene()
  const late = Promise.withResolvers<Response>()
  scene.answers.push(
    () => late.promise,
    () => Response.json({ ...honest, token_endpoint: 'https://idp.test/new' }),
  )
  const first = cache.find(asked)
  cache.forget(asked)
  expect(await cache.find(asked)).toMatchObject({ tokenEndpoint: 'https://idp.test/new' })
  late.resolve(Response.json(honest))
  expect(await first).toMatchObject({ tokenEndpoint: 'https://idp.test/token' })
  expect(await cache.find(asked)).toMatchObject({ tokenEndpoint: 'https://idp.test/new' })
  expect(scene.urls).toHaveLength(2)
})

test('[P2] the cache is bounded: what was not asked for longest goes', async () => {
  const { scene, cache } = createScene({ maxEntries: 2 })
  const find = (name: string) => cache.find({ issuer: `https://${name}.test`, issuerTemplate: undefined })
  for (const name of ['a', 'b', 'a', 'c']) await find(name)
  expect(scene.urls).toHaveLength(3)
  await find('a')
  await find('c')
  expect(scene.urls, 'both still known').toHaveLength(3)
  await find('b')
  expect(scene.urls).toHaveLength(4)
})

test('an issuer with a query has no metadata', async () => {
  const { scene, cache } = createScene()
  await expect(cache.find({ issuer: `${issuer}?x=1`, issuerTemplate: undefined })).rejects.toMatchObject({
    kind: 'invalid_answer',
  })
  expect(scene.urls).toEqual([])
})
