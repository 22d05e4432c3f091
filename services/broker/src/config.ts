import {
  type Cidrs,
  type Secret,
  apiKey,
  apiKeyList,
  booleanFlag,
  cidrList,
  commaList,
  host,
  httpOrigin,
  httpUrl,
  keyList32,
  logLevel,
  nodeEnv,
  optionalKey32,
  parseCidrs,
  port,
  positiveInteger,
  readConfig,
  requiredKey32,
  secretUrl,
  text,
  webhookSecretList,
} from '@nexus/config'
import { z } from 'zod'
import { type ReturnDomain, defaultReturnDomains, parseReturnDomain } from './handshake/return-url.ts'

const databaseFields = {
  DATABASE_URL: secretUrl(['postgres', 'postgresql']),
  DATABASE_DIRECT_URL: secretUrl(['postgres', 'postgresql']).optional(),
}

/** What `migrate` needs: no key, no secret but the database's. */
const migrateSchema = z.object({ ...databaseFields, LOG_LEVEL: logLevel() })

/** What `keys` and `vault` need: the database and the keys it is sealed with. */
const keysSchema = z.object({
  DATABASE_URL: databaseFields.DATABASE_URL,
  ENCRYPTION_KEY: requiredKey32(),
  ENCRYPTION_KEYS_EXTRA: keyList32(),
})

/** What `nexus hub` needs in the Broker's container. */
const hubSchema = z.object({
  DATABASE_URL: databaseFields.DATABASE_URL,
  REDIS_URL: secretUrl(['redis', 'rediss', 'memory']).optional(),
})

const schema = z
  .object({
    ...databaseFields,
    DATABASE_POOL_MAX: positiveInteger(10, { max: 1000 }),
    DATABASE_STATEMENT_TIMEOUT_MS: positiveInteger(10_000, { min: 100 }),
    DATABASE_PREPARED_STATEMENTS: booleanFlag(true),
    REDIS_URL: secretUrl(['redis', 'rediss', 'memory']).optional(),
    ENCRYPTION_KEY: requiredKey32(),
    ENCRYPTION_KEYS_EXTRA: keyList32(),
    STATE_KEY: requiredKey32(),
    STATE_KEY_RETIRED: optionalKey32(),
    API_KEY: apiKeyList(),
    ADMIN_API_KEY: apiKey().optional(),
    REQUIRE_BEARER: booleanFlag(true),
    BASE_URL: httpOrigin(),
    PORT: port(8080),
    HOST: host('0.0.0.0'),
    REDIRECT_PATH: text()
      .regex(/^\/auth\/[a-z0-9][a-z0-9/_-]*[a-z0-9]$/, 'must be a path below /auth/')
      .default('/auth/callback'),
    ALLOWED_CIDRS: cidrList('0.0.0.0/0,::/0'),
    TRUSTED_PROXIES: cidrList(),
    ALLOWED_RETURN_DOMAINS: commaList().transform(toReturnDomains),
    ALLOW_PRIVATE_NETWORKS: text().transform(toPrivateNetworks).default(false),
    HTTPS_PROXY: httpUrl().optional(),
    NO_PROXY: commaList(),
    CONNECT_LINK_TTL_SECONDS: positiveInteger(3600, { min: 60, max: 604_800 }),
    COMPLETION_SECONDS: positiveInteger(60, { min: 10, max: 600 }),
    CONNECT_APP_NAME: text()
      .regex(/^[^\p{Cc}]{1,80}$/u, 'must be one line of 1 to 80 characters')
      .optional(),
    CONNECT_LOGO_URL: text().transform(toLogoUrl).optional(),
    CONNECT_ACCENT_COLOR: text()
      .regex(/^#[0-9a-fA-F]{6}$/, 'must be a colour such as #1f5fd6')
      .optional(),
    AUTH_RATE_LIMIT_PER_MINUTE: positiveInteger(6000, { min: 0 }),
    REFRESH_ENABLED: booleanFlag(true),
    REFRESH_LEAD_SECONDS: positiveInteger(300, { max: 86_400 }),
    REFRESH_CONCURRENCY: positiveInteger(32, { max: 1000 }),
    RESTORED_AT: z.iso.datetime({ offset: true, message: 'must be a time such as 2026-11-22T10:00:00Z' }).optional(),
    SPOOL_DIR: text().optional(),
    WEBHOOK_URL: secretUrl(['https', 'http']).optional(),
    WEBHOOK_SECRET: webhookSecretList().optional(),
    AUDIT_RETENTION_DAYS: positiveInteger(400, { max: 36_500 }),
    AUDIT_READ_RETENTION_DAYS: positiveInteger(30, { max: 36_500 }),
    PURGE_AFTER_DAYS: positiveInteger(90, { max: 36_500 }),
    LOG_LEVEL: logLevel(),
    SHUTDOWN_GRACE_SECONDS: positiveInteger(25, { max: 3600 }),
    NODE_ENV: nodeEnv,
  })
  .superRefine((config, context) => {
    const admin = config.ADMIN_API_KEY?.reveal()
    if (admin !== undefined && config.API_KEY.some((key) => key.reveal() === admin)) {
      context.addIssue({ code: 'custom', path: ['ADMIN_API_KEY'], message: 'must not be equal to an API_KEY' })
    }
    if ((config.WEBHOOK_URL === undefined) !== (config.WEBHOOK_SECRET === undefined)) {
      const missing = config.WEBHOOK_URL === undefined ? 'WEBHOOK_URL' : 'WEBHOOK_SECRET'
      context.addIssue({ code: 'custom', path: [missing], message: 'is required: the two go together' })
    }
    for (const name of findReusedSecrets(config)) {
      context.addIssue({
        code: 'custom',
        path: [name],
        message: 'must not be equal to another key: each guards something else',
      })
    }
    const paths = [
      '/auth/connect',
      '/auth/assets',
      '/auth/consent-spec',
      '/auth/capture-schema',
      '/auth/capture-credential',
    ]
    if (paths.some((path) => config.REDIRECT_PATH === path || config.REDIRECT_PATH.startsWith(`${path}/`))) {
      context.addIssue({ code: 'custom', path: ['REDIRECT_PATH'], message: 'is the path of another route' })
    }
  })

type Secrets = {
  readonly ENCRYPTION_KEY: Secret<Buffer>
  readonly STATE_KEY: Secret<Buffer>
  readonly API_KEY: readonly Secret<string>[]
  readonly WEBHOOK_SECRET?: readonly Secret<Buffer>[] | undefined
}

/** One value for two purposes would let whoever holds the lesser one do what the greater one is for. */
function findReusedSecrets({ ENCRYPTION_KEY, STATE_KEY, API_KEY, WEBHOOK_SECRET }: Secrets): readonly string[] {
  const master = ENCRYPTION_KEY.reveal()
  const state = STATE_KEY.reveal()
  const isReused = (key: Buffer): boolean => key.equals(master) || key.equals(state)
  return [
    ...(master.equals(state) ? ['STATE_KEY'] : []),
    ...(API_KEY.some((key) => isReused(Buffer.from(key.reveal(), 'base64'))) ? ['API_KEY'] : []),
    ...(WEBHOOK_SECRET?.some((secret) => isReused(secret.reveal())) ? ['WEBHOOK_SECRET'] : []),
  ]
}

type ReadValues = z.output<typeof schema>

/** The Broker's configuration, typed and frozen. Secrets are wrapped: they show only where they are revealed. */
export type BrokerConfig = Omit<ReadValues, 'ALLOWED_RETURN_DOMAINS'> & {
  readonly ALLOWED_RETURN_DOMAINS: readonly ReturnDomain[]
}

export type Environment = Readonly<Record<string, string | undefined>>

/** @throws ConfigError that lists every fault at once */
export function readBrokerConfig(env: Environment): BrokerConfig {
  const config = readConfig(schema, env)
  const listed = config.ALLOWED_RETURN_DOMAINS
  return { ...config, ALLOWED_RETURN_DOMAINS: listed.length > 0 ? listed : defaultReturnDomains(config.BASE_URL) }
}

/** @throws ConfigError */
export function readMigrateConfig(env: Environment): z.output<typeof migrateSchema> {
  return readConfig(migrateSchema, env)
}

/** @throws ConfigError */
export function readKeysConfig(env: Environment): z.output<typeof keysSchema> {
  return readConfig(keysSchema, env)
}

/** @throws ConfigError */
export function readHubConfig(env: Environment): z.output<typeof hubSchema> {
  return readConfig(hubSchema, env)
}

/** Session locks fail behind transaction poolers, so migrations go around them where an operator gave a way. */
export function migrationUrl(config: z.output<typeof migrateSchema>): string {
  return (config.DATABASE_DIRECT_URL ?? config.DATABASE_URL).reveal()
}

/** `true` opens private networks, but never link-local and metadata addresses; CIDR blocks open exactly what they say. */
function toPrivateNetworks(value: string, context: z.RefinementCtx): boolean | Cidrs {
  if (/^(true|false)$/i.test(value)) return value.toLowerCase() === 'true'
  try {
    return parseCidrs(value)
  } catch (error) {
    context.addIssue(`must be true, false or CIDR blocks${error instanceof RangeError ? `: ${error.message}` : ''}`)
    return z.NEVER
  }
}

/** Fetched by the Broker, or given in full: people's browsers load nothing from anywhere else. */
function toLogoUrl(value: string, context: z.RefinementCtx): string {
  if (/^data:image\/(?:png|jpeg|webp|svg\+xml);base64,/.test(value)) return value
  if (URL.canParse(value) && /^https?:$/.test(new URL(value).protocol)) return value
  context.addIssue('must be an https URL, or data:image/…;base64,…')
  return z.NEVER
}

function toReturnDomains(entries: readonly string[], context: z.RefinementCtx): readonly ReturnDomain[] {
  const domains = entries.map(parseReturnDomain)
  if (domains.includes(undefined)) {
    context.addIssue('must list hosts: app.example.com, app.example.com:8443 or *.example.com')
  }
  return domains.filter((domain) => domain !== undefined)
}
