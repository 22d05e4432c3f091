import { test as base } from '@nexus/testing/vitest'
import { expect } from 'vitest'
import { z } from 'zod'
import { type BadBody, brokenDocuments, spoilBody } from './bad-bodies.ts'
import { checksumTables } from './database-tools.ts'
import { type TestBroker, requestConnection, startTestBroker, mintToken } from './harness.ts'
import { createProfile, profile } from './provider-profiles.ts'
import { collectRoutes } from './route-list.ts'

const test = base.extend('routed', { scope: 'file' }, async ({ database }, { onCleanup }) => {
  const { result: broker, routes } = await collectRoutes(() => startTestBroker(database))
  onCleanup(() => broker[Symbol.asyncDispose]())
  const { id, name } = await createProfile(broker)
  const { connection_id: connectionId } = await requestConnection(broker, { provider_name: name })
  const appToken = await mintToken(broker, { zones: [{ zone: 'root', permissions: 'rwxc' }] })
  // the newest, whose zones a test changes
  await mintToken(broker, { zones: [{ zone: 'root', permissions: 'r' }] })
  const { body: listed } = await broker.get<{ tokens: { key_id: string }[] }>('/agent-tokens')
  const keyId = listed.tokens[0]?.key_id ?? ''
  const pathOf = (url: string): string =>
    url
      .replace(':id', url.startsWith('/connections') ? connectionId : id)
      .replace(':key_id', keyId)
      .replace(':zone', 'root')
  const bodyOf = (method: string, url: string): z.ZodType => {
    const body = routes.find((route) => route.method === method && route.url === url)?.schema?.body
    if (!(body instanceof z.ZodType)) throw new Error(`${method} ${url} has no body`)
    return body
  }
  return { broker: { ...broker, appToken }, routes, bodyOf, pathOf, id, name }
})

type Refusal = {
  readonly code?: string
  readonly message?: string
  readonly details?: { fields?: { field: string }[] }
}

type Caller = Pick<TestBroker, 'url' | 'keys'> & { readonly appToken: string }

function send(broker: Caller, method: string, path: string, body: string | Buffer, type = 'application/json') {
  const isOperator = /^\/(providers|agent-tokens|zones)/.test(path)
  const isApp = path.endsWith('/complete')
  return fetch(new URL(path, broker.url), {
    method,
    headers: {
      'content-type': type,
      'x-api-key': isOperator ? broker.keys.ADMIN_API_KEY : broker.keys.API_KEY,
      ...(isApp && { authorization: `Bearer ${broker.appToken}` }),
    },
    body,
  })
}

const withBody = [
  ['POST', '/providers'],
  ['PUT', '/providers/:id'],
  ['PATCH', '/providers/:id'],
  ['POST', '/providers/preview'],
  ['POST', '/providers/:id/client-secret-matches'],
  ['POST', '/auth/consent-spec'],
  ['POST', '/connections/:id/reconnect'],
  ['POST', '/connections/:id/complete'],
  ['POST', '/agent-tokens'],
  ['PUT', '/agent-tokens/:key_id/zones/:zone'],
  ['POST', '/zones'],
] as const

test('[C5] these are all the routes with a JSON body', ({ routed: { routes } }) => {
  const found = routes.filter(({ schema, config }) => schema?.body !== undefined && config?.public !== true)
  expect(found.map(({ method, url }) => `${String(method)} ${url}`).toSorted()).toEqual(
    withBody.map(([method, url]) => `${method} ${url}`).toSorted(),
  )
})

const completePath = '/connections/:id/complete'

function validBody(url: string, name: string) {
  if (url === '/auth/consent-spec') return { workspace_id: 'user-1', provider_name: name }
  if (url === '/connections/:id/reconnect') return { allow_account_change: false }
  if (url === completePath) return { completion_code: 'x'.repeat(43), workspace_id: 'user-1' }
  if (url.endsWith('/client-secret-matches')) return { client_secret: 'a candidate' }
  if (url === '/agent-tokens') return { name: 'spoilt', zones: [{ zone: 'root', permissions: 'r' }], owner: 'ada' }
  if (url === '/zones') return { name: 'spoilt' }
  if (url.startsWith('/agent-tokens/')) return { permissions: 'rw' }
  return url === '/providers' ? profile() : profile({ name })
}

function describeFault(bad: BadBody, status: number, { code, message, details }: Refusal): string | undefined {
  const [first] = details?.fields ?? []
  const isNamed = message?.startsWith(bad.field) === true && first?.field.startsWith(bad.field) === true
  return status === 400 && code === 'invalid_request' && isNamed
    ? undefined
    : `${bad.field} ${bad.name}: ${status} ${code}: ${message}`
}

test.for(withBody)(
  '[C5] %s %s: every spoilt body is refused by the name of its field, and changes nothing',
  async ([method, url], { routed: { broker, bodyOf, pathOf, name }, database }) => {
    const path = pathOf(url)
    const spoilt = spoilBody(validBody(url, name), bodyOf(method, url))
    expect(spoilt.length).toBeGreaterThan(10)
    const before = await checksumTables(database.pool)
    const faults: (string | undefined)[] = []
    for (const bad of spoilt) {
      const response = await send(broker, method, path, bad.text)
      faults.push(describeFault(bad, response.status, (await response.json()) as Refusal))
    }
    expect(faults.filter((fault) => fault !== undefined)).toEqual([])
    expect(await checksumTables(database.pool)).toEqual(before)

    const accepted = await send(broker, method, path, JSON.stringify(validBody(url, name)))
    // nobody has come back: a good code is as wrong as any
    const good = url === completePath ? [409] : [200, 201]
    expect(good, 'what was spoilt had been good').toContain(accepted.status)
  },
)

test.for(withBody)('[C5] %s %s: documents that no route takes', async ([method, url], { routed, database }) => {
  const { broker, pathOf } = routed
  const path = pathOf(url)
  const before = await checksumTables(database.pool)
  for (const [name, text, message] of brokenDocuments) {
    const response = await send(broker, method, path, text)
    const body = (await response.json()) as Refusal
    expect({ status: response.status, code: body.code }, name).toEqual({ status: 400, code: 'invalid_request' })
    expect(body.message, name).toMatch(message)
  }
  const large = await send(broker, method, path, JSON.stringify({ description: 'x'.repeat(1_048_577) }))
  expect(large.status).toBe(413)
  expect(await large.json()).toMatchObject({ code: 'body_too_large' })
  for (const type of ['text/plain', 'application/x-www-form-urlencoded', 'multipart/form-data; boundary=x', 'x']) {
    const other = await send(broker, method, path, '{}', type)
    expect(other.status, type).toBe(415)
    expect(await other.json()).toMatchObject({ code: 'unsupported_media_type' })
  }
  expect(await checksumTables(database.pool)).toEqual(before)
})

test('[C5] text that no database can store is refused by name', async ({ routed: { broker, name, id }, database }) => {
  const before = await checksumTables(database.pool)
  const cases: readonly (readonly [path: string, method: string, text: string, field: string])[] = [
    ['/providers', 'POST', JSON.stringify(profile({ description: 'a\ud800' })), 'description'],
    ['/providers', 'POST', JSON.stringify(profile({ params: { prompt: 'a\0b' } })), 'params.prompt'],
    ['/providers', 'POST', JSON.stringify(profile({ client_secret: '\udfff' })), 'client_secret'],
    [`/providers/${id}`, 'PATCH', JSON.stringify({ category: '\0' }), 'category'],
    ...['{"note":"a\\u0000"}', '{"list":["\\ud800"]}', '{"a\\u0000":1}'].map(
      (metadata) =>
        [
          '/auth/consent-spec',
          'POST',
          `{"workspace_id":"u","provider_name":"${name}","metadata":${metadata}}`,
          'metadata',
        ] as const,
    ),
  ]
  for (const [path, method, text, field] of cases) {
    const response = await send(broker, method, path, text)
    const body = (await response.json()) as Refusal
    expect({ status: response.status, code: body.code }, text).toEqual({ status: 400, code: 'invalid_request' })
    expect(body.message, text).toMatch(new RegExp(`^${field}`))
  }
  expect(await checksumTables(database.pool)).toEqual(before)
})

test('[C5] a route that takes no body refuses fields, and takes the empty ones that clients send', async ({
  routed,
}) => {
  const { broker, id } = routed
  const unknown = '019ab000-0000-7000-8000-00000000dead'
  const noBody = [
    ['POST', `/connections/${unknown}/refresh`],
    ['PUT', `/providers/${id}/aliases/another`],
    ['DELETE', `/providers/${id}/aliases/another`],
    ['DELETE', '/providers/by-name/nobody'],
  ] as const
  for (const [method, path] of noBody) {
    const refused = await send(broker, method, path, '{"force":true}')
    expect(refused.status, `${method} ${path}`).toBe(400)
    expect(await refused.json()).toMatchObject({ code: 'invalid_request', message: 'force: unknown field' })
    expect((await send(broker, method, path, '[]')).status).toBe(400)
    for (const text of ['', '{}']) expect([200, 404]).toContain((await send(broker, method, path, text)).status)
  }
})
