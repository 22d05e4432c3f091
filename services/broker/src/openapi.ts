import { randomBytes } from 'node:crypto'
import { createKeyring } from '@nexus/crypto'
import { buildOpenApi, createLogger } from '@nexus/service'
import { composeBroker } from './compose-broker.ts'
import { readBrokerConfig } from './config.ts'
import { openDatabase } from './db/database.ts'

/** The OpenAPI 3.1 document of the Broker as JSON text. It needs no configuration, database or network. */
export async function buildOpenApiDocument(): Promise<string> {
  const masterKey = randomBytes(32)
  const config = readBrokerConfig({
    // the pool connects when it is asked something, and nothing here asks
    DATABASE_URL: 'postgresql://localhost/unused',
    ENCRYPTION_KEY: masterKey.toString('base64'),
    STATE_KEY: randomBytes(32).toString('base64'),
    API_KEY: randomBytes(32).toString('hex'),
    BASE_URL: 'http://localhost',
  })
  const database = openDatabase({
    url: config.DATABASE_URL.reveal(),
    maxConnections: 1,
    statementTimeoutMs: config.DATABASE_STATEMENT_TIMEOUT_MS,
    applicationName: 'nexus-openapi',
    keepsPrepared: false,
    onIdleError: () => undefined,
  })
  const logger = createLogger({ level: 'silent', service: 'broker' })
  await using broker = await composeBroker(config, logger, database, createKeyring({ primary: masterKey }))
  try {
    await broker.app.ready()
    return buildOpenApi(broker.app)
  } finally {
    await broker.app.close()
    await database.close()
  }
}
