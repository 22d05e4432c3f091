import { randomBytes } from 'node:crypto'
import { expect, test } from 'vitest'
import { createLogger } from './logger.ts'

const canary = 'Canary77aa01bb'

function capture() {
  const written: string[] = []
  const logger = createLogger({
    level: 'trace',
    service: 'test',
    destination: { write: (line) => written.push(line) },
  })
  return { logger, text: () => written.join(''), last: (): unknown => JSON.parse(written.at(-1) ?? '{}') }
}

test('a line carries the service, an ISO time and the level as a word', () => {
  const { logger, last } = capture()
  logger.warn({ route: '/health' }, 'hello')
  expect(last()).toMatchObject({
    service: 'test',
    level: 'warn',
    msg: 'hello',
    route: '/health',
    time: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
  })
})

test.each([
  'authorization',
  'Authorization',
  'cookie',
  'set-cookie',
  'Set-Cookie',
  'x-api-key',
  'X-Nexus-Api-Key',
  'access_token',
  'accessToken',
  'refresh_token',
  'refreshToken',
  'id_token',
  'client_secret',
  'clientSecret',
  'code',
  'state',
  'code_verifier',
  'codeVerifier',
  'credentials',
  'password',
  'ticket',
  'nonce',
  'jti',
  'secret',
  'token',
  'api_key',
  'apiKey',
  'authUrl',
  'session_token',
  'secret_key',
  'proxy-authorization',
  'client_assertion',
])('[L1] a field named %s is blanked at every depth', (name) => {
  const { logger, text } = capture()
  logger.info({ [name]: canary })
  logger.info({ a: { b: { [name]: canary } } })
  logger.info({ list: [{ [name]: canary }] })
  logger.info({ headers: { [name]: { deeper: canary } } })
  expect(text()).not.toContain(canary)
  expect(text().split('[redacted]').length - 1).toBe(4)
})

test('[L1] bindings of child loggers are blanked too', () => {
  const { logger, text } = capture()
  logger
    .child({ authorization: canary, state: canary, token: canary, err: Object.assign(new Error('x'), { canary }) })
    .info('x')
  expect(text()).not.toContain(canary)
})

test('[L1] an error shows its kind but none of its own properties, wherever it stands', () => {
  const { logger, text, last } = capture()
  const cause = Object.assign(new Error('refused'), { code: 'invalid_grant', response: { body: canary } })
  const error = Object.assign(new Error('token request failed', { cause }), {
    cause,
    body: canary,
    parameters: [canary],
  })
  logger.error({ err: error }, 'failed')
  expect(last()).toMatchObject({ err: { message: 'token request failed', cause: { code: 'invalid_grant' } } })
  logger.error(error)
  logger.error({ attempt: { inner: error } })
  logger.error({ failures: [error] })
  expect(text()).not.toContain(canary)
})

test('[L1] objects that are more than data show only their class; bytes only their number', () => {
  class Connection {
    readonly password = canary
  }
  const { logger, text, last } = capture()
  logger.info({
    connection: new Connection(),
    url: new URL(`https://x.example/?code=${canary}`),
    bytes: randomBytes(5),
  })
  expect(last()).toMatchObject({ connection: '[Connection]', bytes: '[5 bytes]' })
  expect(text()).not.toContain(canary)
})

test('[L1] what a type says about itself in JSON is what is shown', () => {
  const { logger, last } = capture()
  logger.info({ key: { toJSON: () => '[secret]', value: canary }, at: new Date(0) })
  expect(last()).toMatchObject({ key: '[secret]', at: '1970-01-01T00:00:00.000Z' })
})

test('[L1] messages and formatted arguments lose what looks like a credential', () => {
  const { logger, text } = capture()
  logger.info(`GET /auth/callback?code=${canary}&state=${canary}`)
  logger.info('header was %s', `Bearer ${canary}`)
  logger.info('fields: %j', { url: `https://x.example/cb?code=${canary}` })
  expect(text()).not.toContain(canary)
})

test('a code of our own closed list may stand; any other code is taken for an authorization code', () => {
  const { logger, last } = capture()
  logger.info({ code: 'link_expired' })
  expect(last()).toMatchObject({ code: 'link_expired' })
  logger.info({ code: 'toString' })
  expect(last()).toMatchObject({ code: '[redacted]' })
})

test('cycles, deep nesting and odd values do not break a line', () => {
  const { logger, last } = capture()
  const loop: Record<string, unknown> = { name: 'loop' }
  loop['self'] = loop
  logger.info({ loop, big: 10n, nothing: null, missing: undefined, symbol: Symbol('s') })
  expect(last()).toMatchObject({ loop: { name: 'loop' }, big: '10', nothing: null })
})

test('what cannot be read cannot break a line either', () => {
  const { logger, last } = capture()
  const orphan: unknown = Object.create(Object.create(null))
  logger.info({ orphan }, 'first')
  expect(last()).toMatchObject({ orphan: '[object]', msg: 'first' })
  const trap = {
    toJSON: () => {
      throw new Error('trap')
    },
  }
  logger.info({ trap }, 'second')
  expect(last()).toMatchObject({ unloggable: { message: 'trap' }, msg: 'second' })
})

test('the level decides what is written', () => {
  const written: string[] = []
  const logger = createLogger({ level: 'warn', service: 'test', destination: { write: (line) => written.push(line) } })
  logger.info('quiet')
  logger.warn('loud')
  expect(written).toHaveLength(1)
})
