import { expect, test } from 'vitest'
import { z } from 'zod'
import { AppError } from './app-error.ts'
import { createServer } from './create-server.ts'
import { createLogger } from './logger.ts'
import { createMetrics, renderMetrics } from './metrics.ts'

const canary = 'CanaryQ7x9zT2'
const query = `code=${canary}&state=${canary}&ticket=${canary}`
const headers = {
  authorization: `Bearer ${canary}`,
  cookie: `__Host-nx-0123456789abcdef=${canary}`,
  'x-api-key': canary,
  'user-agent': 'a browser',
  accept: 'text/html',
}

/** Errors as the libraries around us throw them: with the whole answer, request and socket hanging on. */
const libraryError = (): Error =>
  Object.assign(new Error('OAuth response was refused'), {
    code: 'OAUTH_RESPONSE_BODY_ERROR',
    cause: Object.assign(new Error('invalid_grant'), { body: { refresh_token: canary }, response: { text: canary } }),
    request: { headers },
    parameters: [canary],
  })

function build() {
  const written: string[] = []
  const logger = createLogger({ level: 'trace', service: 'test', destination: { write: (line) => written.push(line) } })
  const metrics = createMetrics('test')
  const app = createServer({ logger, metrics })
  app.get('/auth/connect/:ticket', { config: { answers: 'page' } }, async (request) => {
    request.log.trace(
      { headers: request.headers, query: request.query, params: request.params, req: request },
      'came in',
    )
    throw libraryError()
  })
  app.get('/auth/callback', () => Promise.reject(new AppError('invalid_state', 'No', { cause: libraryError() })))
  app.get('/redirect', (_request, reply) => reply.redirect(`https://app.example/?code=${canary}`, 303))
  app.get('/vault', () =>
    Promise.reject(new AppError('vault_integrity', 'A row is damaged', { cause: libraryError(), details: { canary } })),
  )
  app.get('/unfit', { schema: { response: { 200: z.strictObject({}) } } }, () => JSON.parse(`{"token":"${canary}"}`))
  app.post('/body', { schema: { body: z.strictObject({ a: z.literal('a') }) } }, async () => ({}))
  return { app, metrics, text: () => written.join('') }
}

test('[L1] at level trace, with every kind of failure, no canary reaches a log, a metric or an error', async () => {
  const { app, metrics, text } = build()
  const answers = [
    await app.inject({ url: `/auth/connect/${canary}?${query}`, headers }),
    await app.inject({ url: `/auth/callback?${query}`, headers }),
    await app.inject({ url: `/auth/callback?${query}&${query}`, headers }),
    await app.inject({ url: `/auth/callback/${canary}%zz?${query}`, headers }),
    await app.inject({ url: `/nowhere/${canary}?${query}`, headers }),
    await app.inject({ url: '/vault', headers }),
    await app.inject({ url: '/unfit', headers }),
    await app.inject({ method: 'POST', url: '/body', headers, payload: { a: canary } }),
    await app.inject({
      method: 'POST',
      url: '/body',
      headers: { ...headers, 'content-type': 'application/json' },
      payload: `{"a":"${canary}" broken`,
    }),
    await app.inject({
      method: 'POST',
      url: '/body',
      headers: { ...headers, 'content-type': canary },
      payload: canary,
    }),
  ]
  await app.inject({ url: '/redirect', headers })

  expect(answers.map((answer) => answer.statusCode)).toEqual([500, 400, 400, 400, 404, 500, 500, 400, 400, 415])
  for (const answer of answers) expect(answer.body).not.toContain(canary)
  expect(text()).not.toContain(canary)
  expect((await renderMetrics(metrics)).text).not.toContain(canary)
  // the scan must not pass for want of anything to scan
  expect(text().match(/request answered/g)).toHaveLength(11)
  expect(text()).toContain('OAuth response was refused')
})
