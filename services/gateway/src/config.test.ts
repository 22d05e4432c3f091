import { randomBytes } from 'node:crypto'
import { ConfigError } from '@nexus/config'
import { expect, test } from 'vitest'
import { readGatewayConfig } from './config.ts'

const required = {
  BROKER_BASE_URL: 'http://127.0.0.1:8080',
  BROKER_API_KEY: randomBytes(32).toString('base64url'),
  STATE_KEY: randomBytes(32).toString('base64'),
}

function faultsOf(env: Record<string, string>): readonly string[] {
  try {
    readGatewayConfig(env)
  } catch (error) {
    if (error instanceof ConfigError) return error.faults
    throw error
  }
  return []
}

test('what is required is enough, and the defaults are those of the contract', () => {
  const config = readGatewayConfig(required)

  expect(config).toMatchObject({
    PORT: 8090,
    HOST: '0.0.0.0',
    REQUIRE_BEARER: true,
    ALLOW_ANONYMOUS_AGENTS: false,
    REDIRECT_PATH: '/auth/callback',
    AUTH_RATE_LIMIT_PER_MINUTE: 600,
    LOG_LEVEL: 'info',
    SHUTDOWN_GRACE_SECONDS: 25,
  })
  expect(config.ALLOWED_CIDRS.contains('203.0.113.9')).toBe(true)
  expect(config.ALLOWED_CIDRS.contains('2001:db8::1')).toBe(true)
  expect(config.TRUSTED_PROXIES.contains('127.0.0.1')).toBe(false)
})

test('everything that is missing is named at once', () => {
  expect(faultsOf({}).map((fault) => fault.split(':')[0])).toEqual(['BROKER_BASE_URL', 'BROKER_API_KEY', 'STATE_KEY'])
})

test.each(['0.0.0.0', '::', '192.0.2.7', 'gateway.internal'])(
  'without agent tokens it refuses to listen on %s and says what to set',
  (HOST) => {
    const faults = faultsOf({ ...required, HOST, REQUIRE_BEARER: 'false' })

    expect(faults).toHaveLength(1)
    expect(faults[0]).toMatch(/^REQUIRE_BEARER: .*HOST=127\.0\.0\.1.*ALLOW_ANONYMOUS_AGENTS=true/)
  },
)

test.each([
  { REQUIRE_BEARER: 'false', HOST: '127.0.0.1' },
  { REQUIRE_BEARER: 'false', HOST: '127.9.9.9' },
  { REQUIRE_BEARER: 'false', HOST: '::1' },
  { REQUIRE_BEARER: 'false', HOST: 'localhost' },
  { REQUIRE_BEARER: 'false', HOST: '0.0.0.0', ALLOW_ANONYMOUS_AGENTS: 'true' },
  { REQUIRE_BEARER: 'true', HOST: '0.0.0.0' },
])('it may listen with %o', (env) => {
  expect(faultsOf({ ...required, ...env })).toEqual([])
})

test('the open door is listed beside the faults of other variables', () => {
  const faults = faultsOf({ REQUIRE_BEARER: 'false', PORT: 'eighty' })

  expect(faults.map((fault) => fault.split(':')[0])).toEqual(
    expect.arrayContaining(['PORT', 'STATE_KEY', 'BROKER_API_KEY', 'BROKER_BASE_URL', 'REQUIRE_BEARER']),
  )
})

test.each([
  '/callback',
  '/auth',
  '/auth/',
  '/auth/cb/',
  '/auth/../x',
  '/auth//cb',
  '/auth/connect',
  '/auth/assets/x',
  '/auth/capture-schema',
  '/auth/capture-credential/x',
  '/auth/a:b',
  '/auth/*',
])('a REDIRECT_PATH of %s is refused', (REDIRECT_PATH) => {
  expect(faultsOf({ ...required, REDIRECT_PATH })[0]).toMatch(/^REDIRECT_PATH: must/)
})

test('origins of front ends are exact ones, each fault is told, and none is allowed of itself', () => {
  expect(readGatewayConfig(required).CORS_ALLOWED_ORIGINS).toEqual([])
  const CORS_ALLOWED_ORIGINS = 'https://app.example.com, http://localhost:3000'
  expect(readGatewayConfig({ ...required, CORS_ALLOWED_ORIGINS }).CORS_ALLOWED_ORIGINS).toEqual([
    'https://app.example.com',
    'http://localhost:3000',
  ])
  for (const open of ['*', 'null', 'http://app.example.com', 'https://*.example.com', 'https://app.example.com/path']) {
    expect
      .soft(faultsOf({ ...required, CORS_ALLOWED_ORIGINS: open })[0], open)
      .toMatch(/^CORS_ALLOWED_ORIGINS: item 1 must be/)
  }
})

test('no fault repeats a value', () => {
  const STATE_KEY = 'not-a-key-but-still-nobodys-business'
  expect(faultsOf({ ...required, STATE_KEY }).join()).not.toContain(STATE_KEY)
})
