import { randomBytes, randomUUID } from 'node:crypto'
import { createKeyring, createVault } from '@nexus/crypto'
import { sealCredentials } from '../../services/broker/src/connections/credential-set.ts'
import { type Database, openDatabase } from '../../services/broker/src/db/database.ts'
import { sql } from '../../services/broker/src/db/sql.ts'
import { insertProvider } from '../../services/broker/src/providers/store.ts'
import { createSecretVault } from '../../services/broker/src/vault/secret-vault.ts'

const perStatement = 5_000

export type SeedOptions = {
  readonly count: number
  /** Where the profile's refreshes go. */
  readonly tokenUrl?: string
  readonly name?: string
  /** Where each connection is; default: root. */
  readonly zoneOf?: (n: number) => string
  /** Seconds until the refresh is due; negative: it has been due for so long. */
  readonly dueInSeconds?: (n: number) => number
  /** Default: random ones, which no provider knows. */
  readonly makeTokens?: (n: number) => { readonly accessToken: string; readonly refreshToken: string }
}

export type Seeded = { readonly providerId: string; readonly ids: readonly string[] }

export const seededClient = { clientId: 'bench', clientSecret: 'the-client-secret-of-the-bench' }

/** Fills a migrated database with active connections of one profile, sealed as the Broker seals them. */
export async function seedConnections(
  databaseUrl: string,
  encryptionKey: Buffer,
  options: SeedOptions,
): Promise<Seeded> {
  const database = openDatabase({
    url: databaseUrl,
    maxConnections: 1,
    statementTimeoutMs: 600_000,
    applicationName: 'bench',
    keepsPrepared: true,
    onIdleError: () => undefined,
  })
  try {
    return await seed(database, encryptionKey, options)
  } finally {
    await database.close()
  }
}

async function seed(database: Database, encryptionKey: Buffer, options: SeedOptions): Promise<Seeded> {
  const { count, tokenUrl = 'https://a.example/t', name = 'bench', dueInSeconds = () => 80_000 } = options
  const { makeTokens = randomTokens, zoneOf = () => 'root' } = options
  const vault = createSecretVault(createVault(createKeyring({ primary: encryptionKey })), () => undefined)
  const providerId = randomUUID()
  const settings = {
    client_id: seededClient.clientId,
    distinct_redirect_uri: true,
    auth_url: tokenUrl.replace(/[^/]*$/, 'authorize'),
    token_url: tokenUrl,
  }
  await insertProvider(database, vault, { id: providerId, name, zones: [], settings }, seededClient.clientSecret)
  const ids = Array.from({ length: count }, () => randomUUID())
  for (let start = 0; start < count; start += perStatement) {
    const batch = ids.slice(start, start + perStatement)
    const sealed = batch.map((id, index) => {
      const grant = { tokenType: 'Bearer', idToken: undefined, scope: 'read', extra: {}, ...makeTokens(start + index) }
      return sealCredentials(vault, id, 1, grant)
    })
    const due = batch.map((_, index) => dueInSeconds(start + index))
    const zones = batch.map((_, index) => zoneOf(start + index))
    await insertBatch(database, providerId, { ids: batch, zones, sealed, dueInSeconds: due })
  }
  await database.query(sql`analyze`)
  return { providerId, ids }
}

function randomTokens() {
  return { accessToken: randomBytes(96).toString('base64url'), refreshToken: randomBytes(96).toString('base64url') }
}

type Batch = {
  readonly ids: readonly string[]
  readonly zones: readonly string[]
  readonly sealed: readonly { readonly sealed: Buffer; readonly keyId: Buffer }[]
  readonly dueInSeconds: readonly number[]
}

async function insertBatch(
  database: Database,
  providerId: string,
  { ids, zones, sealed, dueInSeconds }: Batch,
): Promise<void> {
  await database.query(sql`
    insert into connections (id, zone, workspace_id, provider_id, status, scopes, granted_scopes, metadata, pending_until)
    select id, zone, id::text, ${providerId}::uuid, 'active', '{read}', '{read}', '{}', now()
      from unnest(${ids}::uuid[], ${zones}::text[]) as c (id, zone)`)
  await database.query(sql`
    insert into tokens (connection_id, provider_id, credentials, key_id, version, has_refresh_token, issued_at, expires_at, refresh_at)
    select id, ${providerId}::uuid, credentials, key_id, 1, true, now() - interval '1 hour',
           now() + make_interval(secs => due + 360), now() + make_interval(secs => due)
      from unnest(${ids}::uuid[], ${sealed.map((one) => one.sealed)}::bytea[], ${sealed.map((one) => one.keyId)}::bytea[],
                  ${dueInSeconds}::float8[]) as s (id, credentials, key_id, due)`)
}
