import { randomBytes } from 'node:crypto'
import type { TestProject } from 'vitest/node'
import { migrateDatabase } from './migrate-database.ts'
import { startTemporaryCluster } from './temporary-cluster.ts'
import { runOnServer, withDatabase } from './test-databases.ts'

declare module 'vitest' {
  export interface ProvidedContext {
    /** Superuser's URL of the PostgreSQL server of this run. */
    readonly postgresUrl: string
    /** The migrated database that `database` clones. */
    readonly postgresTemplate: string
  }
}

type Server = { readonly url: string; readonly template: string } & AsyncDisposable
type Shared = { readonly server: Promise<Server>; users: number }

/** Each project loads this module anew, so what they share cannot be a variable of the module. */
const shared: { [key: symbol]: Shared | undefined } = globalThis
const sharedKey = Symbol.for('nexus.testing.postgres')

/** One PostgreSQL server and one migrated template per run, however many projects ask for them. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const current = (shared[sharedKey] ??= { server: startServer(), users: 0 })
  current.users += 1
  const { url, template } = await current.server
  project.provide('postgresUrl', url)
  project.provide('postgresTemplate', template)
  return async () => {
    current.users -= 1
    if (current.users > 0) return
    shared[sharedKey] = undefined
    const server = await current.server
    await server[Symbol.asyncDispose]()
  }
}

async function startServer(): Promise<Server> {
  await using stack = new AsyncDisposableStack()
  const given = process.env['TEST_DATABASE_URL'] || undefined
  const url = given ?? stack.use(await startOwnServer()).url('postgres')
  // other runs may use the same server at the same time
  const template = given === undefined ? 'nexus_template' : `nexus_template_${randomBytes(6).toString('hex')}`
  await runOnServer(url, `create database ${template}`)
  stack.defer(() => dropTemplate(url, template))
  await migrateDatabase(withDatabase(url, template))
  // a connection to the template would make every clone fail
  await runOnServer(url, `alter database ${template} with is_template true allow_connections false`)
  const resources = stack.move()
  return { url, template, [Symbol.asyncDispose]: () => resources.disposeAsync() }
}

async function dropTemplate(url: string, template: string): Promise<void> {
  await runOnServer(url, `alter database ${template} with is_template false`)
  await runOnServer(url, `drop database ${template} with (force)`)
}

function startOwnServer(): Promise<{ url: (database: string) => string } & AsyncDisposable> {
  return process.env['TEST_USE_DOCKER'] === '1' ? startContainer() : startTemporaryCluster()
}

async function startContainer(): Promise<{ url: (database: string) => string } & AsyncDisposable> {
  const { GenericContainer, Wait } = await import('testcontainers')
  const container = await new GenericContainer('postgres:16')
    .withEnvironment({ POSTGRES_USER: 'nexus', POSTGRES_PASSWORD: 'nexus' })
    .withCommand(['postgres', '-c', 'fsync=off', '-c', 'full_page_writes=off', '-c', 'max_connections=300'])
    .withExposedPorts(5432)
    // the image starts the server once to initialise it, and once more for good
    .withWaitStrategy(Wait.forLogMessage(/ready to accept connections/, 2))
    .start()
  const address = `${container.getHost()}:${container.getMappedPort(5432)}`
  return {
    url: (database) => `postgresql://nexus:nexus@${address}/${database}`,
    [Symbol.asyncDispose]: async () => void (await container.stop()),
  }
}
