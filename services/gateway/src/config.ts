import { isIP } from 'node:net'
import {
  apiKey,
  booleanFlag,
  cidrList,
  commaList,
  host,
  httpUrl,
  logLevel,
  nodeEnv,
  originList,
  optionalKey32,
  parseCidrs,
  port,
  positiveInteger,
  Secret,
  readConfig,
  requiredKey32,
  secretUrl,
  text,
} from '@nexus/config'
import { z } from 'zod'

/** 0 is no limit. */
const perMinute = (usual: number) => positiveInteger(usual, { min: 0, max: 1_000_000 })

const variables = z.object({
  PORT: port(8090),
  HOST: host('0.0.0.0'),
  BROKER_BASE_URL: httpUrl(),
  BROKER_API_KEY: apiKey(),
  STATE_KEY: requiredKey32(),
  STATE_KEY_RETIRED: optionalKey32(),
  REQUIRE_BEARER: booleanFlag(true),
  ALLOW_ANONYMOUS_AGENTS: booleanFlag(false),
  ALLOWED_CIDRS: cidrList('0.0.0.0/0,::/0'),
  ALLOWED_HOSTS: commaList(),
  TRUSTED_PROXIES: cidrList(),
  CORS_ALLOWED_ORIGINS: originList(),
  REDIS_URL: secretUrl(['redis', 'rediss', 'memory']).default(new Secret('memory://')),
  REDIRECT_PATH: text()
    .regex(/^\/auth(\/[a-z0-9][a-z0-9_.-]*)+$/i, 'must be a path below /auth/ without a slash at its end')
    .refine(
      (path) => !/^\/auth\/(connect|assets|capture-schema|capture-credential)(\/|$)/.test(path),
      'must not be a path that /auth/ already uses',
    )
    .default('/auth/callback'),
  AUTH_RATE_LIMIT_PER_MINUTE: perMinute(600),
  NEXUS_RATE_LIMIT_ANONYMOUS: perMinute(60),
  NEXUS_RATE_LIMIT_AUTHENTICATED: perMinute(300),
  NEXUS_RATE_LIMIT_PREMIUM: perMinute(1000),
  LOG_LEVEL: logLevel(),
  SHUTDOWN_GRACE_SECONDS: positiveInteger(25, { max: 3600 }),
  NODE_ENV: nodeEnv,
})

/**
 * Without agent tokens whoever reaches the port may use every connection: such a Gateway listens on loopback only,
 * unless an operator says that something else guards it.
 */
const schema = variables.refine((values) => !isOpenDoor(values), {
  path: ['REQUIRE_BEARER'],
  message:
    'false lets everyone who reaches this port use every connection: set HOST=127.0.0.1, ' +
    'or ALLOW_ANONYMOUS_AGENTS=true if something else guards the port',
  // also beside faults of other variables, so that all are listed at once
  when: ({ value }) => doorVariables.safeParse(value).success,
})

const doorVariables = z.object({ HOST: z.string(), REQUIRE_BEARER: z.boolean(), ALLOW_ANONYMOUS_AGENTS: z.boolean() })

function isOpenDoor(values: z.output<typeof doorVariables>): boolean {
  return !values.REQUIRE_BEARER && !values.ALLOW_ANONYMOUS_AGENTS && !isLoopbackHost(values.HOST)
}

const loopback = parseCidrs('127.0.0.0/8,::1')

function isLoopbackHost(name: string): boolean {
  return isIP(name) === 0 ? name.toLowerCase() === 'localhost' : loopback.contains(name)
}

export type GatewayConfig = Readonly<z.output<typeof schema>>

/** @throws ConfigError with every fault at once. */
export function readGatewayConfig(env: Readonly<Record<string, string | undefined>>): GatewayConfig {
  return readConfig(schema, env)
}
