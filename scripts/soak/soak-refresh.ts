import { setTimeout as sleep } from 'node:timers/promises'
import { type ScriptedProvider, type Service, startScriptedProvider } from '@nexus/testing'
import type pg from 'pg'
import { seedConnections, seededClient } from '../bench/seed.ts'
import { type Installation, openPool, prepareInstallation } from './installation.ts'

export type SoakOptions = {
  readonly seconds: number
  /** A busy machine goes on, up to ten times as long, until there were more refreshes and more reads than this. */
  readonly moreThan?: number
  readonly connections: number
  readonly brokers: number
  /** Told once a second. */
  readonly onProgress: (line: string) => void
}

export type SoakResult = {
  readonly soak: 'refresh'
  readonly refreshes: number
  /** Refresh tokens that a newer one had replaced, presented all the same. */
  readonly superseded: number
  /** Connections whose user is needed in the end. */
  readonly attention: number
  readonly reads: number
  readonly failed_reads: number
  /** The most refreshes of one grant at once. */
  readonly most_concurrent: number
}

/** In words, what is wrong with a result; empty where nothing is (R1). */
export function judgeRefresh({ superseded, attention, failed_reads, most_concurrent }: SoakResult): readonly string[] {
  const faults: readonly (readonly [boolean, string])[] = [
    [superseded > 0, `${superseded} superseded refresh tokens were presented`],
    [most_concurrent > 1, `${most_concurrent} refreshes of one grant at once`],
    [attention > 0, `${attention} connections need their user`],
    [failed_reads > 0, `${failed_reads} reads failed`],
  ]
  return faults.flatMap(([isSo, fault]) => (isSo ? [fault] : []))
}

const readers = 8
const forcers = 4

/**
 * Many Brokers, one provider that rotates refresh tokens and ends a grant whose old token comes back, and connections
 * made due again and again while others read them and force their refresh (R1). One superseded presentation would end a
 * grant, and show.
 */
export async function soakRefresh(options: SoakOptions): Promise<SoakResult> {
  await using resources = new AsyncDisposableStack()
  const installation = await prepareInstallation(resources)
  const provider = resources.use(
    await startScriptedProvider({
      clients: [{ ...seededClient, redirectUris: [] }],
      behaviour: { token: { refreshTokens: 'rotate', graceSeconds: 0, onReuse: 'revoke-family' } },
      signingAlg: 'ES256',
    }),
  )
  provider.keepRequests(false)
  const { ids } = await seedConnections(installation.databaseUrl, installation.encryptionKey, {
    count: options.connections,
    tokenUrl: `${provider.issuer}/token`,
    dueInSeconds: () => 3_000,
    makeTokens: () => provider.grant(seededClient.clientId, 'read'),
  })
  const brokers = await Promise.all(Array.from({ length: options.brokers }, () => installation.startBroker()))
  const pool = openPool(resources, installation)

  const load = startLoad({ installation, brokers, ids, pool, onFailure: options.onProgress })
  const { seconds, moreThan = 0 } = options
  const isTooLittle = (): boolean => Math.min(provider.counts().refreshRequests, load.counts.reads) <= moreThan
  for (let second = 1; second <= seconds || (isTooLittle() && second <= 10 * seconds); second++) {
    await sleep(1_000)
    options.onProgress(`${second}/${options.seconds} s   ${describe(provider, load)}`)
  }
  await load.stop()
  const { rows } = await pool.query<{ n: number }>(
    `select count(*)::int as n from connections where status <> 'active'`,
  )
  return toResult(provider, load, rows[0]?.n ?? -1)
}

type Load = { readonly counts: { reads: number; failedReads: number }; readonly stop: () => Promise<void> }

type LoadOn = {
  readonly installation: Installation
  readonly brokers: readonly Service[]
  readonly ids: readonly string[]
  readonly pool: pg.Pool
  readonly onFailure: (line: string) => void
}

function pick<T>(list: readonly T[]): T | undefined {
  return list[Math.floor(Math.random() * list.length)]
}

function startLoad({ installation, brokers, ids, pool, onFailure }: LoadOn): Load {
  const counts = { reads: 0, failedReads: 0 }
  const over = new AbortController()
  const call = async (method: 'GET' | 'POST', path: 'token' | 'refresh'): Promise<void> => {
    const response = await fetch(`${pick(brokers)?.url}/connections/${pick(ids)}/${path}`, {
      method,
      headers: { 'x-api-key': installation.apiKey },
    })
    const text = await response.text()
    counts.reads += 1
    if (response.status === 200) return
    counts.failedReads += 1
    onFailure(`${method} ${path} ${response.status} ${text}`)
  }
  const repeat = async (work: () => Promise<unknown>): Promise<void> => {
    while (!over.signal.aborted) await work()
  }
  // due again, and some expired: background, readers and callers who force a refresh all want the same tokens. What was
  // refreshed a moment ago does not expire: a reader would find expired what it has just waited for, or was told is fresh
  const makeDue = async (): Promise<void> => {
    await pool.query(
      `update tokens
          set refresh_at = now(),
              expires_at = case when random() < 0.3 and issued_at < now() - interval '15 seconds'
                                then now() - interval '1 second' else expires_at end
        where connection_id in (select connection_id from tokens tablesample bernoulli (20))
          and sent_epoch is null and issued_at < now() - interval '3 seconds'`,
    )
    await sleep(50)
  }
  const running = [
    repeat(makeDue),
    ...Array.from({ length: readers }, () => repeat(() => call('GET', 'token'))),
    ...Array.from({ length: forcers }, () => repeat(() => call('POST', 'refresh'))),
  ]
  return {
    counts,
    async stop() {
      over.abort()
      await Promise.all(running)
    },
  }
}

function describe(provider: ScriptedProvider, { counts }: Load): string {
  const { refreshRequests, supersededPresentations } = provider.counts()
  return `${refreshRequests} refreshes, ${counts.reads} reads, ${counts.failedReads} failed, ${supersededPresentations} superseded`
}

function toResult(provider: ScriptedProvider, { counts }: Load, attention: number): SoakResult {
  const { refreshRequests, supersededPresentations, mostConcurrentRefreshes } = provider.counts()
  return {
    soak: 'refresh',
    refreshes: refreshRequests,
    superseded: supersededPresentations,
    attention,
    reads: counts.reads,
    failed_reads: counts.failedReads,
    most_concurrent: mostConcurrentRefreshes,
  }
}
