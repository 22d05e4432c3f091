import { spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { cpus, tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { migrateDatabase, spawnService, startCluster } from '@nexus/testing'
import { type Measured, loadTokenReads, median, readCpuMicroseconds, readRssMb } from './load.ts'
import { seedConnections } from './seed.ts'

export type TokenReadOptions = { readonly connections: number; readonly rounds: number; readonly seconds: number }

type Round = { readonly bare: Measured; readonly nexus: Measured }

/** Microseconds of processor time per request, by process. */
type CpuByProcess = Readonly<Record<string, number>>

const file = (path: string): string => fileURLToPath(new URL(path, import.meta.url))
const say = (line: string): void => {
  process.stderr.write(`${line}\n`)
}

/**
 * Token reads through Gateway and Broker beside a bare two-hop proxy that answers a constant of the same size: the two
 * are loaded in turns within one run, so that what the machine does otherwise hits both alike. PostgreSQL runs with its
 * own defaults: commits are durable.
 */
export async function benchTokenRead(options: TokenReadOptions): Promise<void> {
  await using resources = new AsyncDisposableStack()
  const directory = mkdtempSync(join(tmpdir(), 'nexus-bench-'))
  resources.defer(() => {
    rmSync(directory, { recursive: true, force: true })
  })
  say('starting PostgreSQL, Broker, Gateway and the bare proxy …')
  const cluster = resources.use(await startCluster(join(directory, 'data')))
  const databaseUrl = cluster.url('postgres')
  await migrateDatabase(databaseUrl)
  const cache = join(directory, 'compile-cache')
  warmCompileCache(cache)
  const { broker, gateway, encryptionKey } = await startNexus(databaseUrl, cache, resources)
  say(`sealing ${options.connections} connections …`)
  const { ids } = await seedConnections(databaseUrl, encryptionKey, { count: options.connections })

  const sample = await fetch(`${gateway.url}/v1/token/${ids[0]}`)
  const body = await sample.text()
  if (sample.status !== 200) throw new Error(`a token read answered ${sample.status}: ${body}`)
  const bytes = Buffer.byteLength(body) - '{"body":""}'.length
  const back = resources.use(await spawnBare(['back'], { BODY_BYTES: String(bytes) }))
  const front = resources.use(await spawnBare(['front', back.url], {}))

  say('warming up …')
  await loadTokenReads(front.url, ids, 3)
  await loadTokenReads(gateway.url, ids, 5)
  const rounds: Round[] = []
  const rss = { broker: 0, gateway: 0 }
  const cpu = new Map<string, number[]>()
  for (let n = 1; n <= options.rounds; n++) {
    const bare = await withCpu({ bare_front: front.pid, bare_back: back.pid }, cpu, () =>
      loadTokenReads(front.url, ids, options.seconds),
    )
    const nexus = await withCpu({ gateway: gateway.pid, broker: broker.pid, postgres: cluster.pid }, cpu, () =>
      loadTokenReads(gateway.url, ids, options.seconds),
    )
    rss.broker = Math.max(rss.broker, readRssMb(broker.pid))
    rss.gateway = Math.max(rss.gateway, readRssMb(gateway.pid))
    rounds.push({ bare, nexus })
    say(`round ${n}/${options.rounds}   bare ${show(bare)}   nexus ${show(nexus)}`)
  }
  report(rounds, rss, Object.fromEntries([...cpu].map(([name, values]) => [name, Math.round(median(values))])))
}

async function withCpu(
  pids: Readonly<Record<string, number>>,
  cpu: Map<string, number[]>,
  load: () => Promise<Measured>,
): Promise<Measured> {
  const before = Object.entries(pids).map(([name, pid]) => ({ name, pid, used: readCpuMicroseconds(pid) }))
  const measured = await load()
  for (const { name, pid, used } of before) {
    cpu.set(name, [...(cpu.get(name) ?? []), (readCpuMicroseconds(pid) - used) / measured.requests])
  }
  return measured
}

const unlimited = {
  NEXUS_RATE_LIMIT_ANONYMOUS: '0',
  NEXUS_RATE_LIMIT_AUTHENTICATED: '0',
  NEXUS_RATE_LIMIT_PREMIUM: '0',
}

const brokerBin = file('../../services/broker/bin/nexus-broker.ts')
const gatewayBin = file('../../services/gateway/bin/nexus-gateway.ts')

/** As the images do: what is loaded compiled needs no type stripper, and not its memory. */
export function warmCompileCache(cache: string): void {
  for (const bin of [brokerBin, gatewayBin]) {
    const { status } = spawnSync(process.execPath, [bin, '--help'], {
      env: { NODE_COMPILE_CACHE: cache },
      stdio: 'ignore',
    })
    if (status !== 0) throw new Error(`${bin} --help failed`)
  }
}

/** Broker and Gateway that ask nobody who they are, and count nobody. */
export async function startNexus(databaseUrl: string, cache: string, resources: AsyncDisposableStack) {
  const encryptionKey = randomBytes(32)
  const stateKey = randomBytes(32).toString('base64')
  const apiKey = randomBytes(32).toString('hex')
  const common = {
    NODE_COMPILE_CACHE: cache,
    NODE_OPTIONS: '--max-semi-space-size=4',
    HOST: '127.0.0.1',
    REQUIRE_BEARER: 'false',
    STATE_KEY: stateKey,
    NODE_ENV: 'production',
    LOG_LEVEL: 'warn',
  }
  const broker = resources.use(
    await spawnService({
      entry: brokerBin,
      args: ['serve'],
      env: {
        ...common,
        DATABASE_URL: databaseUrl,
        ENCRYPTION_KEY: encryptionKey.toString('base64'),
        API_KEY: apiKey,
        BASE_URL: 'http://127.0.0.1:1',
      },
    }),
  )
  const gateway = resources.use(
    await spawnService({
      entry: gatewayBin,
      env: { ...common, ...unlimited, BROKER_BASE_URL: broker.url, BROKER_API_KEY: apiKey },
    }),
  )
  return { broker, gateway, encryptionKey }
}

function spawnBare(args: readonly string[], env: Readonly<Record<string, string>>) {
  return spawnService({ entry: file('./bare-service.ts'), args, env: { NODE_ENV: 'production', ...env } })
}

function show({ rps, p50Ms, p99Ms, failures }: Measured): string {
  return `${Math.round(rps)}/s p50 ${p50Ms} ms p99 ${p99Ms} ms${failures === 0 ? '' : ` FAILURES ${failures}`}`
}

function report(
  rounds: readonly Round[],
  rss: { readonly broker: number; readonly gateway: number },
  cpu: CpuByProcess,
): void {
  const failures = rounds.reduce((sum, { bare, nexus }) => sum + bare.failures + nexus.failures, 0)
  if (failures > 0) throw new Error(`${failures} requests failed`)
  const ratio = median(rounds.map(({ bare, nexus }) => nexus.rps / bare.rps))
  const p99Ratio = median(rounds.map(({ bare, nexus }) => nexus.p99Ms / bare.p99Ms))
  say(`on ${cpus().length} cores (${cpus()[0]?.model ?? 'unknown'}), load generator included`)
  const line = {
    bench: 'token-read',
    ratio: round(ratio),
    p99_ratio: round(p99Ratio),
    rps: Math.round(median(rounds.map(({ nexus }) => nexus.rps))),
    bare_rps: Math.round(median(rounds.map(({ bare }) => bare.rps))),
    p50_ms: median(rounds.map(({ nexus }) => nexus.p50Ms)),
    p99_ms: median(rounds.map(({ nexus }) => nexus.p99Ms)),
    cpu_us: cpu,
    rss_mb: { broker: Math.round(rss.broker), gateway: Math.round(rss.gateway) },
  }
  process.stdout.write(`${JSON.stringify(line)}\n`)
}

function round(value: number): number {
  return Math.round(value * 100) / 100
}
