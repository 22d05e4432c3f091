import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { type Service, spawnService } from '@nexus/testing'
import pg from 'pg'
import { claimDueTokens } from '../../services/broker/src/refresher/claim-store.ts'
import { openDatabase } from '../../services/broker/src/db/database.ts'
import { type Installation, prepareInstallation } from '../soak/installation.ts'
import { loadTokenReads, median, readCpuMicroseconds } from './load.ts'
import { seedConnections } from './seed.ts'

export type RefreshBenchOptions = {
  /** Rows for the claim and the reads. */
  readonly connections: number
  /** Tokens to refresh. */
  readonly due: number
  readonly seconds: number
}

const say = (line: string): void => {
  process.stderr.write(`${line}\n`)
}

/**
 * What refreshing costs where there are many connections: claiming a batch, reading beside them, and the refresh itself
 * against a provider that answers in 20 ms. PostgreSQL commits durably; everything shares this machine.
 */
export async function benchRefresh(options: RefreshBenchOptions): Promise<void> {
  const refreshing = await benchRefreshing(options)
  const scale = await benchScale(options)
  const line = { bench: 'refresh', ...scale, ...refreshing }
  process.stdout.write(`${JSON.stringify(line)}\n`)
}

async function benchRefreshing({ due }: RefreshBenchOptions) {
  await using resources = new AsyncDisposableStack()
  const installation = await prepareInstallation(resources)
  const provider = resources.use(
    await spawnService({
      entry: fileURLToPath(new URL('./provider.ts', import.meta.url)),
      env: { DELAY_MS: '20' },
      ready: { path: '/' },
    }),
  )
  say(`refreshing ${due} tokens that are due …`)
  await seedConnections(installation.databaseUrl, installation.encryptionKey, {
    count: due,
    tokenUrl: `${provider.url}/token`,
    dueInSeconds: () => -1,
  })
  const broker = await installation.startBroker({ NODE_OPTIONS: '--max-semi-space-size=4' })
  const pool = new pg.Pool({ connectionString: installation.databaseUrl, max: 1 })
  resources.defer(() => pool.end())
  // the first ones warm it up
  await waitForAnswers(provider, due * 0.1)
  const [cpuBefore, began, from] = [readCpuMicroseconds(broker.pid), performance.now(), await readAnswered(provider)]
  await waitForAnswers(provider, due * 0.95)
  const [cpuAfter, ended, to] = [readCpuMicroseconds(broker.pid), performance.now(), await readAnswered(provider)]
  const rate = Math.round((to - from) / ((ended - began) / 1000))
  say(`${rate} refreshes a second`)
  return { refreshes_per_second: rate, broker_cpu_us: Math.round((cpuAfter - cpuBefore) / (to - from)) }
}

async function waitForAnswers(provider: Service, count: number): Promise<void> {
  while ((await readAnswered(provider)) < count) await sleep(50)
}

async function readAnswered(provider: Service): Promise<number> {
  const response = await fetch(provider.url)
  const { answered }: { answered: number } = JSON.parse(await response.text())
  return answered
}

const fewConnections = 10_000
const readRounds = 6
// PostgreSQL's manual advises a quarter of the memory: the 128 MB of its default are for machines of long ago
const sizedServer = { shared_buffers: '2GB' }

/**
 * Reads of few connections and of many, each by an installation of its own, loaded in turns: what the machine does with its
 * other tenants, or how warm it is, weighs on both alike.
 */
async function benchScale({ connections, seconds }: RefreshBenchOptions) {
  await using resources = new AsyncDisposableStack()
  const few = await prepareReads(resources, fewConnections)
  const many = await prepareReads(resources, connections)
  const scales = [few, many] as const
  for (const { read } of scales) await read(seconds)
  for (let round = 0; round < readRounds; round++) {
    for (const scale of round % 2 === 0 ? scales : scales.toReversed()) scale.rates.push(await scale.read(seconds))
    say(`reads per second: ${few.rates[round]} of ${fewConnections}, ${many.rates[round]} of ${connections}`)
  }
  const ratios = few.rates.map((rate, round) => rate / (many.rates[round] ?? Number.NaN))
  const reads = { reads_few: median(few.rates), reads_many: median(many.rates) }
  const claims = await benchClaims(many.installation, many.providerId)
  return { read_ratio_1m: Math.round(median(ratios) * 100) / 100, ...reads, ...claims }
}

async function prepareReads(resources: AsyncDisposableStack, connections: number) {
  const installation = await prepareInstallation(resources, sizedServer)
  const { databaseUrl, encryptionKey } = installation
  say(`sealing ${connections} connections …`)
  const { ids, providerId } = await seedConnections(databaseUrl, encryptionKey, {
    count: connections,
    dueInSeconds: (n) => (n % 1000 === 0 ? -60 : 3_000 + n / 1000),
  })
  await settleDown(databaseUrl)
  const broker = await installation.startBroker({ REFRESH_ENABLED: 'false', NODE_OPTIONS: '--max-semi-space-size=4' })
  const read = (seconds: number) => loadReads(broker, installation, ids, seconds)
  return { installation, providerId, read, rates: new Array<number>() }
}

/** What new rows leave PostgreSQL to write is written before anything is measured beside them. */
async function settleDown(databaseUrl: string): Promise<void> {
  const pool = new pg.Pool({ connectionString: databaseUrl, max: 1 })
  await pool.query('vacuum analyze')
  await pool.query('checkpoint')
  await pool.end()
}

async function loadReads(broker: Service, { apiKey }: Installation, ids: readonly string[], seconds: number) {
  const { rps, failures } = await loadTokenReads(broker.url, ids, seconds, {
    path: (id) => `/connections/${id}/token`,
    headers: () => ({ 'x-api-key': apiKey }),
  })
  if (failures > 0) throw new Error(`${failures} reads failed`)
  return Math.round(rps)
}

const claimsToTime = 30

/** Milliseconds for a batch of 32, with a thousandth of the rows due, and again with a fifth due at a provider that is down. */
async function benchClaims({ databaseUrl, encryptionKey }: Installation, providerId: string) {
  const database = openDatabase({
    url: databaseUrl,
    maxConnections: 1,
    statementTimeoutMs: 600_000,
    applicationName: 'bench',
    keepsPrepared: true,
    onIdleError: () => undefined,
  })
  const pool = new pg.Pool({ connectionString: databaseUrl, max: 1 })
  try {
    await pool.query('vacuum analyze tokens')
    const usual = await timeClaims(database, pool, new Map())
    say('a fifth of the rows comes due at a provider that is down …')
    const dead = await seedConnections(databaseUrl, encryptionKey, { count: 1, name: 'dead' })
    await pool.query(
      `update tokens set provider_id = $2, refresh_at = now() - interval '1 hour'
        where provider_id = $1 and refresh_at > now() and left(connection_id::text, 2) < '33'`,
      [providerId, dead.providerId],
    )
    await pool.query('vacuum analyze tokens')
    const besideDead = await timeClaims(database, pool, new Map([[dead.providerId, 0]]))
    return { claim_ms: usual, claim_ms_beside_dead: besideDead }
  } finally {
    await Promise.all([database.close(), pool.end()])
  }
}

async function timeClaims(
  database: ReturnType<typeof openDatabase>,
  pool: pg.Pool,
  byProvider: ReadonlyMap<string, number>,
): Promise<number> {
  const owner = '00000000-0000-7000-8000-000000000001'
  const times: number[] = []
  for (let n = 0; n < claimsToTime; n++) {
    const began = performance.now()
    const claims = await claimDueTokens(database, owner, { usual: 32, byProvider, total: 256 })
    times.push(performance.now() - began)
    if (claims.length !== 32) throw new Error(`${claims.length} claims instead of 32`)
    await pool.query('update tokens set lease_owner = null, lease_until = null where connection_id = any ($1)', [
      claims.map(({ connectionId }) => connectionId),
    ])
  }
  say(`claims: median ${median(times).toFixed(2)} ms, slowest ${Math.max(...times).toFixed(2)} ms`)
  return Math.round(median(times) * 100) / 100
}
