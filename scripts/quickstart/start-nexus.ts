import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { startDemoProvider } from '@nexus/testing/demo-provider'
import { startCluster } from '@nexus/testing/embedded-postgres'
import {
  findActiveConnection,
  registerDemoProvider,
  requestConnection,
  type Facts,
  type Scene,
} from './demo-connection.ts'
import { prepareTokens } from './development-token.ts'
import { loadKeys, type Keys } from './keys.ts'
import type { Options, Ports } from './options.ts'
import { choosePorts } from './ports.ts'
import { startProgram, type Program } from './program.ts'
import type { Progress } from './progress.ts'

export type RunningNexus = {
  readonly facts: Facts
  /** Where the demo provider is. */
  readonly demoProvider: string
  readonly activeConnection: string | undefined
  /** Rejects when a part ends by itself. */
  readonly failed: Promise<never>
}

type Stage = {
  readonly root: string
  readonly options: Options
  readonly progress: Progress
  /** Whatever is started goes in here, and is stopped in the reverse order. */
  readonly parts: AsyncDisposableStack
  /** Checked between the steps. */
  readonly stopping: AbortSignal
}

/**
 * Starts PostgreSQL, the demo provider, the Broker and the Gateway, and asks for the first connection.
 *
 * @throws Error that says which part failed and why; what runs already is in `parts`
 */
export const startNexus = async (stage: Stage): Promise<RunningNexus> => {
  const { options, progress, parts, stopping, root } = stage
  const { dataDir } = options
  const ports = await choosePorts(options)
  const keys = loadKeys(dataDir)
  mkdirSync(join(dataDir, 'logs'), { recursive: true, mode: 0o700 })

  const databaseUrl = options.databaseUrl ?? (await startDatabase(stage, ports))
  stopping.throwIfAborted()
  const demo = await progress.step('demo identity provider', () =>
    startDemoProvider({ port: ports.provider, stateDir: join(dataDir, 'demo-provider') }),
  )
  parts.use(demo)
  stopping.throwIfAborted()
  const broker = parts.use(startBroker({ root, dataDir, ports, keys, databaseUrl }))
  const gateway = parts.use(startGateway({ root, dataDir, ports, keys }))
  await Promise.all([
    progress.step('Broker, with its migrations', () => broker.ready(stopping)),
    progress.step('Gateway', () => gateway.ready(stopping)),
  ])
  const urls = { brokerUrl: urlOf(ports.broker), gatewayUrl: urlOf(ports.gateway) }
  const token = await progress.step('tokens', () => prepareTokens({ ...urls, keys, dataDir }))
  const connected = await connectDemo({ ...urls, keys, demo, token }, progress)
  return { ...connected, demoProvider: demo.issuer, failed: Promise.race([broker.failed, gateway.failed]) }
}

const startDatabase = async ({ options, progress, parts }: Stage, ports: Ports): Promise<string> => {
  const cluster = await progress.step('PostgreSQL', () =>
    startCluster(join(options.dataDir, 'postgres'), { port: ports.postgres }),
  )
  parts.use(cluster)
  return cluster.url('postgres')
}

type ServiceScene = { readonly root: string; readonly dataDir: string; readonly ports: Ports; readonly keys: Keys }

/** For this machine: both services listen on loopback only. */
const sharedEnv = ({ keys }: ServiceScene) => ({
  HOST: '127.0.0.1',
  STATE_KEY: keys.STATE_KEY,
  SHUTDOWN_GRACE_SECONDS: '10',
})

const startBroker = (scene: ServiceScene & { readonly databaseUrl: string }): Program =>
  startProgram({
    title: 'Broker',
    entry: join(scene.root, 'services/broker/bin/nexus-broker.ts'),
    args: ['serve'],
    env: {
      ...sharedEnv(scene),
      PORT: String(scene.ports.broker),
      BASE_URL: urlOf(scene.ports.gateway),
      DATABASE_URL: scene.databaseUrl,
      ENCRYPTION_KEY: scene.keys.ENCRYPTION_KEY,
      API_KEY: scene.keys.API_KEY,
      ADMIN_API_KEY: scene.keys.ADMIN_API_KEY,
      // the demo provider is on loopback
      ALLOW_PRIVATE_NETWORKS: 'true',
    },
    logFile: join(scene.dataDir, 'logs/broker.log'),
    readyUrl: `${urlOf(scene.ports.broker)}/health/ready`,
  })

const startGateway = (scene: ServiceScene): Program =>
  startProgram({
    title: 'Gateway',
    entry: join(scene.root, 'services/gateway/bin/nexus-gateway.ts'),
    env: {
      ...sharedEnv(scene),
      PORT: String(scene.ports.gateway),
      BROKER_BASE_URL: urlOf(scene.ports.broker),
      BROKER_API_KEY: scene.keys.API_KEY,
    },
    logFile: join(scene.dataDir, 'logs/gateway.log'),
    readyUrl: `${urlOf(scene.ports.gateway)}/health`,
  })

const connectDemo = (scene: Scene, progress: Progress) =>
  progress.step('demo provider registered, connection requested', async () => {
    await registerDemoProvider(scene)
    const [facts, activeConnection] = await Promise.all([requestConnection(scene), findActiveConnection(scene)])
    return { facts, activeConnection }
  })

const urlOf = (port: number): string => `http://127.0.0.1:${port}`
