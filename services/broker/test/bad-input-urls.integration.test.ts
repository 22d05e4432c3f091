import { test as base } from '@nexus/testing/vitest'
import type { RouteOptions } from 'fastify'
import { expect } from 'vitest'
import { checksumTables } from './database-tools.ts'
import { startTestBroker } from './harness.ts'
import { createProfile } from './provider-profiles.ts'
import { type ListedRoute, collectRoutes, listRoutes } from './route-list.ts'

const test = base.extend('routed', { scope: 'file' }, async ({ database }, { onCleanup }) => {
  const env = { AUTH_RATE_LIMIT_PER_MINUTE: '0' }
  const { result: broker, routes } = await collectRoutes(() => startTestBroker(database, { env }))
  onCleanup(() => broker[Symbol.asyncDispose]())
  await createProfile(broker, { aliases: ['first alias'] })
  // mints the token by which connections are completed here
  await broker.post('/connections/019ab000-0000-7000-8000-00000000dead/complete', {})
  const schemas = new Map(routes.map((route) => [nameOf(route), route]))
  return { broker, list: listRoutes(routes), schemaOf: (route: ListedRoute) => schemas.get(nameOf(route))?.schema }
})

function nameOf(route: Pick<RouteOptions, 'method' | 'url'> | ListedRoute): string {
  return `${String(route.method)} ${'pattern' in route ? route.pattern : route.url}`
}

type Refusal = { readonly code: string; readonly message: string; readonly details: { readonly fields: unknown[] } }

test('[C5] ids that are none are refused by name, on every route that takes one', async ({ routed, database }) => {
  const { broker, list } = routed
  const withId = list.filter(({ pattern }) => pattern.includes(':id'))
  expect(withId.length).toBeGreaterThan(6)
  const before = await checksumTables(database.pool)
  const none = ['1', 'x', '..%2f..', '%00', "' or 1=1 --", '019ab000-0000-7000-8000-00000000dea', 'null', '👩‍💻']
  for (const { method, pattern } of withId) {
    for (const id of none) {
      const path = pattern.replace(':id', encodeURIComponent(id)).replace(':alias', 'alias')
      const { status, body } = await broker.send<Refusal>(method, path)
      expect({ status, code: body.code }, `${method} ${path}`).toEqual({ status: 400, code: 'invalid_request' })
      expect(body.message).toMatch(/^id: /)
      expect(body.details.fields).toMatchObject([{ field: 'id' }])
    }
  }
  expect(await checksumTables(database.pool)).toEqual(before)
})

test('[C5] names and aliases with control characters, or too long, are refused by name', async ({ routed }) => {
  const { broker, list } = routed
  const id = '019ab000-0000-7000-8000-00000000dead'
  for (const text of ['\0', 'a\u0000b', 'a\nb', '\u007f', 'x'.repeat(65)]) {
    const encoded = encodeURIComponent(text)
    for (const { method, pattern } of list.filter((route) => /:(name|alias)/.test(route.pattern))) {
      const path = pattern.replace(':id', id).replace(/:(name|alias)/, encoded)
      const { status, body } = await broker.send<Refusal>(method, path)
      expect(status, `${method} ${path}`).toBe(400)
      expect(body.message).toMatch(/^(name|alias): /)
    }
  }
})

test('[C5] a path that is not well encoded, or endless, is a bad request and no crash', async ({ routed }) => {
  const { broker, list } = routed
  for (const { method, pattern } of list.filter((route) => route.pattern.includes(':'))) {
    for (const part of ['%', '%zz', '%ff', 'x'.repeat(600)]) {
      const path = pattern.replaceAll(/:\w+/g, part)
      const { status } = await broker.send(method, path)
      expect(status, `${method} ${path.slice(0, 80)}`).toBe(400)
    }
  }
  expect((await broker.get('/health')).status).toBe(200)
})

test('[C5] parameters that are unknown, repeated or named like a prototype', async ({ routed, database }) => {
  const { broker, list, schemaOf } = routed
  const before = await checksumTables(database.pool)
  for (const route of list) {
    const ask = (query: string) => broker.send<Refusal>(route.method, `${route.path}?${query}`)
    for (const query of ['limit=1&limit=2', 'code=1&code=1', '__proto__=1', 'constructor=1', 'a=1&%61=2']) {
      const { status, body } = await ask(query)
      // pages answer in HTML; a POST without a body is refused for that first
      const expected = route.access === 'public' && route.method === 'POST' ? [400, 415] : [400]
      expect(expected, `${nameOf(route)}?${query}: ${status}`).toContain(status)
      expect([undefined, 'invalid_request', 'unsupported_media_type'], nameOf(route)).toContain(body?.code)
    }
    const isStrict = route.access !== 'public' && schemaOf(route)?.querystring !== undefined
    if (!isStrict) continue
    const { status, body } = await ask('surprise=1')
    expect({ status, code: body.code }, nameOf(route)).toEqual({ status: 400, code: 'invalid_request' })
    const message = schemaOf(route)?.body === undefined ? 'surprise: unknown field' : body.message
    expect(body.message).toBe(message)
  }
  expect(await checksumTables(database.pool)).toEqual(before)
})

test('[C5] a repeated parameter is refused by name, never joined or chosen from', async ({ routed: { broker } }) => {
  const { status, body } = await broker.get<Refusal>('/connections?status=active&workspace_id=a&workspace_id=b')
  expect({ status, message: body.message }).toEqual({
    status: 400,
    message: 'Parameter "workspace_id" was given more than once',
  })
})

test('[C5] forms of strangers are as strict: repeated fields and too many bytes', async ({ routed: { broker } }) => {
  const post = (body: string, type = 'application/x-www-form-urlencoded') =>
    fetch(new URL('/auth/callback', broker.url), {
      method: 'POST',
      redirect: 'manual',
      headers: { 'content-type': type, accept: 'text/html' },
      body,
    })
  expect((await post('state=a&state=b')).status).toBe(400)
  expect((await post('__proto__=a')).status).toBe(400)
  expect((await post(`state=${'x'.repeat(65_536)}`)).status).toBe(413)
  expect((await post('{"state":"a"}', 'application/json')).status).toBeGreaterThanOrEqual(400)
  for (const response of [await post('state=a&state=b')]) {
    expect(response.headers.get('content-type')).toMatch(/^text\/html/)
    expect(await response.text()).not.toContain('state')
  }
})
