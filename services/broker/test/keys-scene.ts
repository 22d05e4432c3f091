import { randomBytes, randomUUID } from 'node:crypto'
import { createKeyring, createVault } from '@nexus/crypto'
import { type TestDatabase, createTestDatabase } from '@nexus/testing'
import { inject, onTestFinished } from 'vitest'
import { insertPendingConnection, updateToActive } from '../src/connections/store.ts'
import { insertToken } from '../src/connections/token-store.ts'
import { type Database, openDatabase } from '../src/db/database.ts'
import { insertProvider } from '../src/providers/store.ts'
import { insertRevocation } from '../src/revocations/store.ts'
import { type SecretVault, createSecretVault } from '../src/vault/secret-vault.ts'
import { type Finished, callCommand } from './broker-command.ts'
import { type Keys, makeKeys, startTestBroker } from './harness.ts'

export const makeKey = (): string => randomBytes(32).toString('base64')

export const idOf = (key: string): string => createKeyring({ primary: Buffer.from(key, 'base64') }).primaryId

/** Which key seals, and which ones open beside it: a set of keys as a Broker is configured with. */
export type KeySet = { readonly primary: string; readonly extra?: readonly string[] }

export function keyEnvironment({ primary, extra = [] }: KeySet) {
  return { ENCRYPTION_KEY: primary, ENCRYPTION_KEYS_EXTRA: extra.join(',') }
}

/** A database of its own, whose first Broker registered `old`; `next` is a key to come. */
export type Installation = {
  readonly database: TestDatabase
  readonly keys: Keys
  readonly old: string
  readonly next: string
}

export async function openInstallation(): Promise<Installation> {
  const database = await createTestDatabase(inject('postgresUrl'), inject('postgresTemplate'))
  onTestFinished(database.drop)
  const keys = makeKeys()
  await (await startTestBroker(database, { keys }))[Symbol.asyncDispose]()
  return { database, keys, old: keys.ENCRYPTION_KEY, next: makeKey() }
}

/** A Broker of this installation with a set of keys. It refreshes only what is read, so that tests say when. */
export function startBrokerWith({ database, keys }: Installation, { primary, extra = [] }: KeySet) {
  const env = { ENCRYPTION_KEYS_EXTRA: extra.join(','), AUTH_RATE_LIMIT_PER_MINUTE: '0', REFRESH_ENABLED: 'false' }
  return startTestBroker(database, { env, keys: { ...keys, ENCRYPTION_KEY: primary } })
}

/** Why a Broker with these keys does not start, in its own words. */
export async function refusalOf(installation: Installation, set: KeySet): Promise<string> {
  const broker = await startBrokerWith(installation, set).catch((error: unknown) => String(error))
  if (typeof broker === 'string') return broker
  await broker[Symbol.asyncDispose]()
  throw new Error('the Broker started')
}

/** Runs a command with a set of keys. */
export function command({ database }: Installation, set: KeySet, ...args: string[]): Promise<Finished> {
  return callCommand(args, { DATABASE_URL: database.url, ...keyEnvironment(set) })
}

/** The JSON lines of an output. */
export function linesOf(text: string): readonly Readonly<Record<string, unknown>>[] {
  return text
    .trim()
    .split('\n')
    .map((line): Record<string, unknown> => JSON.parse(line))
}

/** A pool of the Broker's own kind, for use cases and stores. */
export function openPool({ url }: Pick<TestDatabase, 'url'>): Database {
  const database = openDatabase({
    url,
    maxConnections: 2,
    statementTimeoutMs: 10_000,
    applicationName: 'test',
    keepsPrepared: false,
    onIdleError: () => undefined,
  })
  onTestFinished(() => database.close())
  return database
}

export function vaultOf(key: string): SecretVault {
  return createSecretVault(createVault(createKeyring({ primary: Buffer.from(key, 'base64') })), () => undefined)
}

export type Seeded = {
  readonly providerId: string
  /** Access tokens that live for a day, by connection. */
  readonly tokens: ReadonlyMap<string, string>
  readonly revocations: readonly string[]
}

/** Rows sealed under `key` by the Broker's own stores: a profile with a secret, tokens, revocations owed. */
export async function seedRows(
  { database }: Installation,
  key: string,
  count: { readonly tokens?: number; readonly revocations?: number },
): Promise<Seeded> {
  const vault = vaultOf(key)
  const pool = openPool(database)
  const providerId = randomUUID()
  const settings = {
    client_id: 'x',
    distinct_redirect_uri: true,
    auth_url: 'https://a.example/a',
    token_url: 'https://a.example/t',
  }
  const write = { id: providerId, name: `seeded-${providerId}`, zones: [], settings }
  await insertProvider(pool, vault, write, 'a client secret')
  const tokens = new Map<string, string>()
  const revocations: string[] = []
  await pool.transaction(async (transaction) => {
    for (let n = 0; n < (count.tokens ?? 0); n++) {
      const id = randomUUID()
      const accessToken = randomBytes(24).toString('base64url')
      tokens.set(id, accessToken)
      const connection = {
        id,
        zone: 'root',
        workspaceId: id,
        providerId,
        scopes: ['read'],
        metadata: {},
        completion: undefined,
        ttlSeconds: 3600,
      }
      await insertPendingConnection(transaction, connection)
      await updateToActive(transaction, {
        connectionId: id,
        from: 'pending',
        scopes: ['read'],
        grantedScopes: ['read'],
        account: undefined,
        metadata: undefined,
      })
      await insertToken(transaction, vault, {
        connectionId: id,
        providerId,
        credentials: {
          accessToken,
          tokenType: 'Bearer',
          refreshToken: 'r',
          idToken: undefined,
          scope: 'read',
          extra: {},
        },
        times: { ageSeconds: 0, expiresInSeconds: 86_400, refreshInSeconds: 80_000 },
      })
    }
    for (let n = 0; n < (count.revocations ?? 0); n++) {
      const id = randomUUID()
      revocations.push(id)
      const owed = { refreshToken: 'r', accessToken: 'a' }
      // a day ahead: no Broker of the test takes it away
      const revocation = {
        id,
        connectionId: randomUUID(),
        providerId,
        zone: 'root',
        tokens: owed,
        firstAttemptInSeconds: 86_400,
      }
      await insertRevocation(transaction, vault, revocation)
    }
  })
  return { providerId, tokens, revocations }
}

const sealedTables = ['handshake_attempts', 'provider_profiles', 'revocations', 'tokens'] as const

/** Rows by table and key id: `tokens 3fa1b2c4` → 12. */
export async function countByKey({ database }: Installation): Promise<Readonly<Record<string, number>>> {
  const counts: Record<string, number> = {}
  for (const table of sealedTables) {
    const { rows } = await database.pool.query<{ key: string; n: number }>(
      `select encode(key_id, 'hex') as key, count(*)::int as n from ${table} where key_id is not null group by 1`,
    )
    for (const { key, n } of rows) counts[`${table} ${key}`] = n
  }
  return counts
}

/** `id` → retired or not, of every registered key. */
export async function registeredKeys({ database }: Installation): Promise<Readonly<Record<string, boolean>>> {
  const { rows } = await database.pool.query<{ id: string; retired: boolean }>(
    `select encode(key_id, 'hex') as id, retired_at is not null as retired from encryption_keys`,
  )
  return Object.fromEntries(rows.map(({ id, retired }) => [id, retired]))
}

/** What the audit tells of the keys, oldest first. */
export async function keyEvents({ database }: Installation) {
  const { rows } = await database.pool.query<{
    event: string
    outcome: string
    actor_kind: string
    actor_id: string
    data: Readonly<Record<string, unknown>>
  }>(`select event, outcome, actor_kind, actor_id, data from audit_events where event like 'keys.%' order by at, id`)
  return rows
}
