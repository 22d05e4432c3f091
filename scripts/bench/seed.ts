import { randomBytes, randomUUID } from 'node:crypto'
import { createKeyring, createVault } from '@nexus/crypto'
import { insertToken } from '../../services/broker/src/connections/token-store.ts'
import { insertPendingConnection, updateToActive } from '../../services/broker/src/connections/store.ts'
import { openDatabase } from '../../services/broker/src/db/database.ts'
import { insertProvider } from '../../services/broker/src/providers/store.ts'
import { createSecretVault } from '../../services/broker/src/vault/secret-vault.ts'

const perTransaction = 500

/**
 * Fills a migrated database with active connections that live for a day, written by the Broker's own stores.
 * @returns their ids
 */
export async function seedConnections(
  databaseUrl: string,
  encryptionKey: Buffer,
  count: number,
): Promise<readonly string[]> {
  const vault = createSecretVault(createVault(createKeyring({ primary: encryptionKey })), () => undefined)
  const database = openDatabase({
    url: databaseUrl,
    maxConnections: 1,
    statementTimeoutMs: 60_000,
    applicationName: 'bench',
    keepsPrepared: true,
    onIdleError: () => undefined,
  })
  const providerId = randomUUID()
  const settings = {
    client_id: 'bench',
    distinct_redirect_uri: true,
    auth_url: 'https://a.example/a',
    token_url: 'https://a.example/t',
  }
  await insertProvider(database, vault, { id: providerId, name: 'bench', zones: [], settings }, undefined)
  const ids = Array.from({ length: count }, () => randomUUID())
  for (let start = 0; start < count; start += perTransaction) {
    await database.transaction(async (transaction) => {
      for (const id of ids.slice(start, start + perTransaction)) {
        const connection = {
          id,
          zone: 'root',
          workspaceId: id,
          providerId,
          scopes: ['read'],
          metadata: {},
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
            accessToken: randomBytes(96).toString('base64url'),
            tokenType: 'Bearer',
            refreshToken: randomBytes(96).toString('base64url'),
            idToken: undefined,
            scope: 'read',
            extra: {},
          },
          times: { ageSeconds: 0, expiresInSeconds: 86_400, refreshInSeconds: 80_000 },
        })
      }
    })
  }
  await database.close()
  return ids
}
