import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { type Service, freePort, spawnService } from '@nexus/testing'
import type pg from 'pg'
import { readRssMb } from '../bench/load.ts'
import { seedConnections } from '../bench/seed.ts'
import { type Installation, openPool, prepareInstallation } from './installation.ts'

export type HerdOptions = {
  readonly connections: number
  readonly providers: number
  readonly brokers: number
  /** All come due within so many seconds. */
  readonly dueWithin: number
  /** What becomes of the last of the providers, with its share of the connections. */
  readonly dead: 'hangs' | 'refuses' | 'none'
  /** Told once a second. */
  readonly onProgress: (line: string) => void
}

export type HerdResult = {
  readonly soak: 'herd'
  readonly refreshed: number
  /** Connections of providers that work which were not refreshed. */
  readonly left: number
  readonly attention: number
  readonly seconds: number
  /** From the moment a token came due to its refresh, where the provider works. */
  readonly healthy_wait_p99_s: number
  /** The most refreshes that one provider had at once. */
  readonly most_concurrent: number
  /** Of the largest Broker, when a third was refreshed and in the end: before that its heap takes the size it needs. */
  readonly rss_mb_start: number
  readonly rss_mb_end: number
  /** Presentations at the provider that is down. */
  readonly dead_requests: number
}

/** REFRESH_CONCURRENCY of the Brokers. */
const concurrency = 32
const failuresToOpen = 5
const firstTryAfterSeconds = 15
const patienceMs = 60_000

/** In words, what is wrong with a result; empty where nothing is. */
export function judgeHerd(result: HerdResult, { brokers }: Pick<HerdOptions, 'brokers'>): readonly string[] {
  // those under way when its circuit opened, and a try now and then, each doubling the time until the next
  const tries = Math.log2(1 + result.seconds / firstTryAfterSeconds)
  const mostDead = brokers * (concurrency + failuresToOpen + Math.ceil(tries))
  const faults: readonly (readonly [boolean, string])[] = [
    [result.left > 0, `${result.left} connections of providers that work were not refreshed`],
    [result.attention > 0, `${result.attention} connections need their user`],
    [result.most_concurrent > brokers * concurrency, `${result.most_concurrent} refreshes at once at one provider`],
    [result.dead_requests > mostDead, `${result.dead_requests} presentations at the provider that is down`],
    [result.rss_mb_end > 1.2 * result.rss_mb_start + 32, 'memory grew with what was refreshed'],
  ]
  return faults.flatMap(([isSo, fault]) => (isSo ? [fault] : []))
}

/**
 * All connections come due at once, at providers of which one is down: the load stays under the cap, the others
 * are refreshed as if it were not there, and memory does not grow with what waits.
 */
export async function soakHerd(options: HerdOptions): Promise<HerdResult> {
  await using resources = new AsyncDisposableStack()
  const installation = await prepareInstallation(resources)
  const pool = openPool(resources, installation)
  const provider = resources.use(
    await spawnService({
      entry: fileURLToPath(new URL('../bench/provider.ts', import.meta.url)),
      env: { DELAY_MS: '20', ...(options.dead === 'hangs' && { HANGS_AT: deadPath }) },
      ready: { path: '/' },
    }),
  )
  await seedHerd(installation, provider, options)
  await comeDue(pool, options.dueWithin)
  const env = { REFRESH_CONCURRENCY: String(concurrency), NODE_OPTIONS: '--max-semi-space-size=4' }
  const brokers = await Promise.all(Array.from({ length: options.brokers }, () => installation.startBroker(env)))
  const watched = await watchHerd(pool, provider, brokers, options)
  return { soak: 'herd', ...watched, ...(await readOutcome(pool, provider)) }
}

const deadPath = '/dead/token'

/** Each provider has its share; the last one is the one that is down. */
async function seedHerd(
  { databaseUrl, encryptionKey }: Installation,
  provider: Service,
  { connections, providers, dead, onProgress }: HerdOptions,
): Promise<void> {
  const nobody = `http://127.0.0.1:${await freePort()}`
  for (let n = 1; n <= providers; n++) {
    onProgress(`sealing the connections of provider ${n} of ${providers} …`)
    const isDead = n === providers && dead !== 'none'
    await seedConnections(databaseUrl, encryptionKey, {
      count: Math.floor(connections / providers),
      name: isDead ? 'dead' : `healthy-${n}`,
      tokenUrl: isDead ? (dead === 'hangs' ? provider.url : nobody) + deadPath : `${provider.url}/${n}/token`,
    })
  }
}

/** When each is due is kept: a refresh sets it anew. */
async function comeDue(pool: pg.Pool, withinSeconds: number): Promise<void> {
  await pool.query(`update tokens set refresh_at = now() + make_interval(secs => $1 * random())`, [withinSeconds])
  await pool.query(`
    create table herd as
    select t.connection_id, t.refresh_at as due_at, p.name = 'dead' as is_dead
      from tokens t join provider_profiles p on p.id = t.provider_id`)
  await pool.query('vacuum analyze')
}

type Watched = Pick<HerdResult, 'seconds' | 'rss_mb_start' | 'rss_mb_end'>

/** Until all that can be refreshed has been, or nothing happens any more. */
async function watchHerd(
  pool: pg.Pool,
  provider: Service,
  brokers: readonly Service[],
  { onProgress }: HerdOptions,
): Promise<Watched> {
  const { rows } = await pool.query<{ n: number }>('select count(*)::int as n from herd where not is_dead')
  const wanted = rows[0]?.n ?? 0
  const readMemory = (): number => Math.max(...brokers.map(({ pid }) => readRssMb(pid)))
  const began = performance.now()
  let [answered, movedAt, startMb] = [0, began, 0]
  while (answered < wanted && performance.now() - movedAt < patienceMs) {
    await sleep(1_000)
    const { answered: now } = await readCounts(provider)
    if (now > answered) movedAt = performance.now()
    answered = now
    if (startMb === 0 && answered >= wanted / 3) startMb = readMemory()
    onProgress(`${round((performance.now() - began) / 1000)} s   ${answered} of ${wanted}   ${round(readMemory())} MB`)
  }
  await waitUntilStored(pool, answered)
  return {
    seconds: round((movedAt - began) / 1000),
    rss_mb_start: round(startMb),
    rss_mb_end: round(readMemory()),
  }
}

/** What a provider has answered takes a moment until it is stored. */
async function waitUntilStored(pool: pg.Pool, answered: number): Promise<void> {
  const deadline = performance.now() + patienceMs
  for (;;) {
    const { rows } = await pool.query<{ n: number }>(
      'select count(*)::int as n from herd h join tokens t using (connection_id) where not h.is_dead and t.version > 1',
    )
    if ((rows[0]?.n ?? 0) >= answered || performance.now() > deadline) return
    await sleep(200)
  }
}

type ProviderCounts = {
  readonly answered: number
  readonly paths: Readonly<Record<string, { readonly requests: number; readonly mostAtOnce: number }>>
}

async function readCounts(provider: Service): Promise<ProviderCounts> {
  const response = await fetch(provider.url)
  const counts: ProviderCounts = JSON.parse(await response.text())
  return counts
}

type Outcome = Omit<HerdResult, 'soak' | keyof Watched>

async function readOutcome(pool: pg.Pool, provider: Service): Promise<Outcome> {
  const { rows } = await pool.query<Omit<Outcome, 'most_concurrent'>>(`
    select count(*) filter (where t.version > 1)::int as "refreshed",
           count(*) filter (where t.version = 1 and not h.is_dead)::int as "left",
           count(*) filter (where c.status <> 'active')::int as "attention",
           coalesce(percentile_cont(0.99) within group (order by extract(epoch from t.last_refresh_at - h.due_at))
             filter (where not h.is_dead), 0)::float8 as "healthy_wait_p99_s",
           coalesce(sum(t.failure_count) filter (where h.is_dead), 0)::int as "dead_requests"
      from herd h join tokens t using (connection_id) join connections c on c.id = h.connection_id`)
  if (rows[0] === undefined) throw new Error('an aggregate gave no row')
  const { healthy_wait_p99_s, dead_requests, ...counts } = rows[0]
  const { paths } = await readCounts(provider)
  const [hanging] = Object.entries(paths).flatMap(([path, { requests }]) => (path === deadPath ? [requests] : []))
  return {
    ...counts,
    healthy_wait_p99_s: round(healthy_wait_p99_s),
    most_concurrent: Math.max(0, ...Object.values(paths).map(({ mostAtOnce }) => mostAtOnce)),
    // those that hang still are recorded nowhere yet; those that were refused never reached anybody
    dead_requests: Math.max(dead_requests, hanging ?? 0),
  }
}

function round(value: number): number {
  return Math.round(value * 10) / 10
}
