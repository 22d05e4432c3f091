import { errorBody, statusByCode, type ErrorCode } from '@nexus/contracts'
import { expect, test } from 'vitest'
import { z } from 'zod'
import { AppError } from './app-error.ts'
import { createServer } from './create-server.ts'
import type { ErrorHandlerOptions } from './error-handler.ts'
import { createLogger } from './logger.ts'

function build(errors?: ErrorHandlerOptions) {
  const written: string[] = []
  const logger = createLogger({ level: 'debug', service: 'test', destination: { write: (line) => written.push(line) } })
  const app = createServer({ logger, ...(errors === undefined ? {} : { errors }) })
  const failWith = (error: unknown): void => {
    const fail = async (): Promise<never> => {
      throw error
    }
    app.get('/fail', fail)
    app.get('/auth/fail', { config: { answers: 'page' } }, fail)
    app.get('/auth/mixed', fail)
  }
  return { app, failWith, log: () => written.join('') }
}

async function answerTo(error: unknown, errors?: ErrorHandlerOptions) {
  const { app, failWith, log } = build(errors)
  failWith(error)
  const answer = await app.inject('/fail')
  return { answer, body: answer.json<Record<string, unknown>>(), log: log() }
}

test.each(errorBody.shape.code.options)('%s is answered with its status, its code and the request id', async (code) => {
  const { answer, body } = await answerTo(new AppError(code, 'A public message'))
  expect(answer.statusCode).toBe(statusByCode[code])
  expect(body).toMatchObject({ code, request_id: answer.headers['x-request-id'] })
  expect(answer.headers['cache-control']).toBe('no-store')
  expect(answer.headers['content-type']).toBe('application/json; charset=utf-8')
})

test('details and Retry-After reach the caller, cause and internal detail only the log', async () => {
  const error = new AppError('unavailable', 'Please try again', {
    cause: new Error('cause-for-operators'),
    details: { part: 'store' },
    retryAfterSeconds: 1.2,
    internalDetail: 'detail-for-operators',
  })
  const { answer, body, log } = await answerTo(error)
  expect(answer.headers['retry-after']).toBe('2')
  expect(body).toEqual({
    code: 'unavailable',
    message: 'Please try again',
    request_id: expect.any(String),
    details: { part: 'store' },
  })
  expect(log).toContain('cause-for-operators')
  expect(log).toContain('detail-for-operators')
})

test.each(['internal', 'vault_integrity', 'state_key_mismatch'] as const)(
  '%s says nothing of the inside',
  async (code) => {
    const { body, log } = await answerTo(new AppError(code, 'row 17 of tokens', { details: { table: 'tokens' } }))
    expect(body).toEqual({ code, message: 'Something went wrong on our side', request_id: expect.any(String) })
    expect(log).toContain('row 17 of tokens')
  },
)

test.each([
  ['an error', new Error('inside')],
  [
    'an error with a status of its own',
    Object.assign(new Error('inside'), { statusCode: 418, headers: { 'x-inside': '1' } }),
  ],
  ['an error of a library', Object.assign(new Error('inside'), { code: '42P01', detail: 'inside' })],
  ['a string', 'inside'],
  ['nothing', undefined],
  ['null', null],
])('%s that nobody translated is a bare 500', async (_what, error) => {
  const { answer, body } = await answerTo(error)
  expect(answer.statusCode).toBe(500)
  expect(body).toEqual({
    code: 'internal',
    message: 'Something went wrong on our side',
    request_id: expect.any(String),
  })
  expect(answer.headers).not.toHaveProperty('x-inside')
})

test('a service translates the errors of its own libraries, and a translation that fails is a 500', async () => {
  const away = Object.assign(new Error('connection refused'), { code: 'ECONNREFUSED' })
  const translated = await answerTo(away, {
    translate: () => new AppError('unavailable', 'Later', { retryAfterSeconds: 2 }),
  })
  expect(translated.answer.statusCode).toBe(503)
  const failed = await answerTo(away, {
    translate: () => {
      throw new Error('translator fell over')
    },
  })
  expect(failed.answer.statusCode).toBe(500)
})

const challengeOf = async (code: ErrorCode) =>
  (await answerTo(new AppError(code, 'no'))).answer.headers['www-authenticate']

test('only refusals of the bearer token carry a challenge', async () => {
  expect(await challengeOf('missing_bearer_token')).toBe('Bearer realm="nexus-hub"')
  expect(await challengeOf('invalid_token')).toBe('Bearer realm="nexus-hub", error="invalid_token"')
  expect(await challengeOf('missing_api_key')).toBeUndefined()
  expect(await challengeOf('invalid_api_key')).toBeUndefined()
})

test('a refused body names each field and what is wrong, never a value', async () => {
  const { app } = build()
  const body = z.strictObject({
    name: z.string().max(5),
    tags: z.array(z.enum(['a', 'b'])),
    kind: z.literal('x').optional(),
  })
  app.post('/things', { schema: { body } }, async () => ({}))
  const payload = { name: 'secret-value', tags: ['a', 'secret-value'], kind: 'secret-value', bogus: 'secret-value' }
  const answer = await app.inject({ method: 'POST', url: '/things', payload })

  expect(answer.statusCode).toBe(400)
  expect(answer.body).not.toContain('secret-value')
  const fields = answer.json().details.fields.map((fault: { field: string }) => fault.field)
  expect(fields.toSorted()).toEqual(['bogus', 'kind', 'name', 'tags.1'])
  expect(answer.json().message).toMatch(/^name: /)
})

test('of a body that may have several forms, the faults of the likeliest one are told', async () => {
  const { app } = build()
  const bare = z.strictObject({ name: z.string(), count: z.number() })
  app.post('/things', { schema: { body: z.union([z.strictObject({ profile: bare }), bare]) } }, async () => ({}))
  const post = (payload: object) => app.inject({ method: 'POST', url: '/things', payload })

  expect((await post({ name: 'n', count: 'x' })).json().details.fields).toMatchObject([{ field: 'count' }])
  expect((await post({ profile: { name: 'n', count: 'x' } })).json().details.fields).toMatchObject([
    { field: 'profile.count' },
  ])
})

test('queries, paths and whole bodies are named as such', async () => {
  const { app } = build()
  const schema = { querystring: z.strictObject({ limit: z.coerce.number() }), body: z.strictObject({ a: z.string() }) }
  app.post('/things', { schema }, async () => ({}))
  const post = (url: string, payload: string) =>
    app.inject({ method: 'POST', url, payload, headers: { 'content-type': 'application/json' } })

  expect((await post('/things?limit=x', '{"a":"b"}')).json().details.fields).toMatchObject([{ field: 'limit' }])
  expect((await post('/things?limit=1&x=1', '{"a":"b"}')).json().details.fields).toEqual([
    { field: 'x', problem: 'unknown field' },
  ])
  expect((await post('/things?limit=1', '[]')).json().details.fields).toMatchObject([{ field: 'body' }])
  expect((await post('/things?limit=1', '')).json().message).toBe('The body is empty; a JSON document is expected')
})

test('a thousand faults make a short answer', async () => {
  const { app } = build()
  app.post('/things', { schema: { body: z.strictObject({}) } }, async () => ({}))
  const payload = Object.fromEntries(Array.from({ length: 1000 }, (_, index) => [`${'k'.repeat(300)}${index}`, 1]))
  const answer = await app.inject({ method: 'POST', url: '/things', payload })
  expect(answer.json().details.fields).toHaveLength(20)
  expect(answer.body.length).toBeLessThan(10_000)
})

test.each([
  ['GET', '/nowhere'],
  ['POST', '/fail'],
  ['OPTIONS', '/fail'],
] as const)('%s %s is a plain 404', async (method, url) => {
  const { app, failWith } = build()
  failWith(new Error('must not run'))
  const answer = await app.inject({ method, url })
  expect(answer.statusCode).toBe(404)
  expect(answer.json()).toMatchObject({ code: 'route_not_found' })
})

test('[H7] HEAD does not run the handler of GET', async () => {
  const { app, failWith, log } = build()
  failWith(new Error('must not run'))
  expect((await app.inject({ method: 'HEAD', url: '/fail' })).statusCode).toBe(404)
  expect(log()).not.toContain('must not run')
})

test.each([
  ['/things/%zz', 'The path of the URL is not valid'],
  [`/things/${'x'.repeat(600)}`, 'A part of the path is too long'],
])('the path %s is an invalid request, and is not quoted', async (url, message) => {
  const { app, log } = build()
  app.get('/things/:id', async () => ({}))
  const answer = await app.inject(`${url}?code=canary-42`)
  expect(answer.statusCode).toBe(400)
  expect(answer.json()).toMatchObject({ code: 'invalid_request', message, request_id: answer.headers['x-request-id'] })
  expect(answer.headers['referrer-policy']).toBe('no-referrer')
  expect(log()).not.toContain('canary-42')
  expect(log()).toContain('"status":400')
})

test.each([
  ['text', 'text/plain', 'hello'],
  ['a form', 'application/x-www-form-urlencoded', 'a=1'],
  ['no type at all', undefined, 'hello'],
  ['a type that is none', 'json', '{}'],
])('a body of %s is an unsupported media type', async (_what, type, payload) => {
  const { app } = build()
  app.post('/things', async () => ({}))
  const answer = await app.inject({ method: 'POST', url: '/things', payload, headers: { 'content-type': type ?? '' } })
  expect(answer.statusCode).toBe(415)
  expect(answer.json()).toMatchObject({ code: 'unsupported_media_type' })
})

test('an answer that does not fit its schema is a 500 without its content', async () => {
  const { app, log } = build()
  const schema = { response: { 200: z.strictObject({ id: z.string() }) } }
  app.get('/things', { schema }, async () => JSON.parse('{"id":1,"refresh_token":"secret-value"}'))
  const answer = await app.inject('/things')
  expect(answer.statusCode).toBe(500)
  expect(answer.json()).toMatchObject({ code: 'internal' })
  expect(log()).toContain('Response does not match the schema'.replace('does not', "doesn't"))
  expect(log()).not.toContain('secret-value')
})

test('an error is answered although the route declares another schema for that status', async () => {
  const { app } = build()
  const schema = { response: { 404: z.strictObject({ other: z.string() }) } }
  app.get('/things', { schema }, () => Promise.reject(new AppError('connection_not_found', 'No such connection')))
  expect((await app.inject('/things')).json()).toMatchObject({ code: 'connection_not_found' })
})

test.each([
  ['link_expired', 410, 'This link has expired'],
  ['already_completed', 409, 'This link was already used'],
  ['invalid_state', 400, 'This link does not work'],
  ['provider_rejected', 502, 'The other service could not complete the sign-in'],
  ['unavailable', 503, 'This did not work just now'],
  ['internal', 500, 'This did not work just now'],
  ['forbidden', 403, 'This is not allowed from here'],
] as const)('on a page route %s is a page', async (code, status, heading) => {
  const { app, failWith } = build()
  failWith(new AppError(code, 'public-message'))
  const answer = await app.inject('/auth/fail')
  expect(answer.statusCode).toBe(status)
  expect(answer.headers['content-type']).toBe('text/html; charset=utf-8')
  expect(answer.body).toContain(heading)
  expect(answer.body).toContain(String(answer.headers['x-request-id']))
})

test('below /auth/ a browser gets a page and a program JSON, for unknown routes too', async () => {
  const { app, failWith } = build()
  failWith(new AppError('link_expired', 'Expired'))
  const browser = { accept: 'text/html,application/xhtml+xml,*/*;q=0.8' }
  for (const url of ['/auth/mixed', '/auth/nowhere', '/%61uth/mixed']) {
    expect((await app.inject({ url, headers: browser })).headers['content-type']).toContain('text/html')
    expect((await app.inject({ url })).headers['content-type']).toContain('application/json')
  }
  expect((await app.inject({ url: '/fail', headers: browser })).headers['content-type']).toContain('application/json')
})

test('the service may know the page better than the code does', async () => {
  const { app, failWith } = build({
    pageKindOf: (error) => (error.code === 'invalid_state' ? 'wrong-browser' : undefined),
  })
  failWith(new AppError('invalid_state', 'no cookie'))
  expect((await app.inject('/auth/fail')).body).toContain('This is not the browser you started in')
})
