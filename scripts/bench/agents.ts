import { randomBytes, randomUUID } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { migrateDatabase, startCluster } from '@nexus/testing'
import pg from 'pg'
import { mintAgentToken } from '../../services/broker/src/agents/agent-token.ts'
import { openLocalHub } from '../../services/broker/src/hub/local-hub.ts'
import { gatewayRoute, loadTokenReads, median } from './load.ts'
import { seedConnections } from './seed.ts'
import { startNexus, warmCompileCache } from './token-read.ts'

export type AgentsBenchOptions = {
  /** As many connections of agents, as many of nobody in particular, and a tenth as many zones. */
  readonly tokens: number
  readonly rounds: number
  readonly seconds: number
}

const warmUpSeconds = 20

const say = (line: string): void => {
  process.stderr.write(`${line}\n`)
}

/**
 * Reads by many agents, each with a token of its own and a connection in its zone, beside reads without any token in root:
 * the same Gateway and Broker, loaded in turns. Then how long a token is taken after its revocation was answered.
 */
export async function benchAgents({ tokens, rounds, seconds }: AgentsBenchOptions): Promise<void> {
  await using resources = new AsyncDisposableStack()
  const directory = mkdtempSync(join(tmpdir(), 'nexus-bench-'))
  resources.defer(() => {
    rmSync(directory, { recursive: true, force: true })
  })
  say('starting PostgreSQL, Broker and Gateway …')
  const cluster = resources.use(await startCluster(join(directory, 'data')))
  const databaseUrl = cluster.url('postgres')
  await migrateDatabase(databaseUrl)
  const cache = join(directory, 'compile-cache')
  warmCompileCache(cache)
  const { gateway, encryptionKey } = await startNexus(databaseUrl, cache, resources)

  const zones = Array.from({ length: Math.ceil(tokens / 10) }, (_, n) => `team-${n}`)
  const zoneOf = (n: number): string => zones[n % zones.length] ?? 'root'
  say(`making ${tokens} tokens in ${zones.length} zones, and sealing ${2 * tokens} connections …`)
  const minted = await seedTokens(
    databaseUrl,
    zones,
    Array.from({ length: tokens }, (_, n) => zoneOf(n)),
  )
  const { ids: open } = await seedConnections(databaseUrl, encryptionKey, { count: tokens, name: 'open' })
  const { ids: closed } = await seedConnections(databaseUrl, encryptionKey, { count: tokens, name: 'closed', zoneOf })
  const tokenOf = new Map(closed.map((id, n) => [id, minted[n] ?? '']))
  const asAgent = { ...gatewayRoute, headers: (id: string) => ({ authorization: `Bearer ${tokenOf.get(id)}` }) }

  const loads = {
    without: () => loadTokenReads(gateway.url, open, seconds),
    with: () => loadTokenReads(gateway.url, closed, seconds, asAgent),
  }
  say('warming up …')
  await loads.without()
  // until most tokens have been seen: what is measured is a day like any other
  await loadTokenReads(gateway.url, closed, warmUpSeconds, asAgent)
  const measured: { readonly without: number; readonly with: number }[] = []
  for (let n = 1; n <= rounds; n++) {
    const first = n % 2 === 0 ? await loads.with() : undefined
    const without = await loads.without()
    const withTokens = first ?? (await loads.with())
    if (without.failures + withTokens.failures > 0) throw new Error('reads failed')
    measured.push({ without: without.rps, with: withTokens.rps })
    say(`round ${n}/${rounds}   without tokens ${Math.round(without.rps)}/s   with ${Math.round(withTokens.rps)}/s`)
  }
  const revocations = await timeRevocations(
    databaseUrl,
    gateway.url,
    closed.slice(0, 5).map((id) => ({ id, token: tokenOf.get(id) ?? '' })),
  )
  const line = {
    bench: 'agents',
    ratio: Math.round(median(measured.map((round) => round.with / round.without)) * 100) / 100,
    revoke_ms: Math.round(Math.max(...revocations)),
    revoke_ms_median: Math.round(median(revocations)),
    rps: Math.round(median(measured.map((round) => round.with))),
    rps_without: Math.round(median(measured.map((round) => round.without))),
    tokens,
    zones: zones.length,
  }
  process.stdout.write(`${JSON.stringify(line)}\n`)
}

const lookupBytes = 4

/** Counted, not random: among ten thousand random lookups two are alike one time in a hundred. */
function numberLookup(n: number): Buffer {
  const bytes = Buffer.alloc(lookupBytes)
  bytes.writeUInt32BE(n)
  return bytes
}

/** Tokens as the Broker mints them, in few statements. @returns the tokens, in the order of `zoneByToken` */
async function seedTokens(
  databaseUrl: string,
  zones: readonly string[],
  zoneByToken: readonly string[],
): Promise<readonly string[]> {
  const pool = new pg.Pool({ connectionString: databaseUrl, max: 1 })
  const minted = zoneByToken.map((zone, n) => ({
    id: randomUUID(),
    zone,
    name: `agent-${n}`,
    ...mintAgentToken(zone, `agent-${n}`, (size) => (size === lookupBytes ? numberLookup(n) : randomBytes(size))),
  }))
  const column = (name: 'id' | 'zone' | 'name' | 'lookup' | 'hash' | 'prefix') => minted.map((token) => token[name])
  try {
    await pool.query('insert into zones (name) select unnest($1::text[])', [zones])
    await pool.query(
      `insert into agent_tokens (id, first_zone, name, owner, lookup, token_hash, prefix, is_admin, changed_seq)
       select id, zone, name, name, lookup, hash, prefix, false, 0
         from unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::bytea[], $6::text[])
              as t (id, zone, name, lookup, hash, prefix)`,
      [column('id'), column('zone'), column('name'), column('lookup'), column('hash'), column('prefix')],
    )
    await pool.query(
      `insert into agent_token_zones (token_id, zone, permissions, place)
       select id, zone, 'rw', 1 from unnest($1::uuid[], $2::text[]) as t (id, zone)`,
      [column('id'), column('zone')],
    )
    await pool.query('vacuum analyze')
  } finally {
    await pool.end()
  }
  return minted.map(({ token }) => token)
}

/** Milliseconds from the answer to each revocation to the last read that was still answered. */
async function timeRevocations(
  databaseUrl: string,
  gatewayUrl: string,
  used: readonly { readonly id: string; readonly token: string }[],
): Promise<readonly number[]> {
  await using hub = await openLocalHub({ DATABASE_URL: databaseUrl })
  const times: number[] = []
  for (const { id, token } of used) {
    let lastAccepted = 0
    const reading = (async () => {
      for (;;) {
        const { status } = await fetch(`${gatewayUrl}/v1/token/${id}`, {
          headers: { authorization: `Bearer ${token}` },
        })
        if (status === 401) return
        lastAccepted = performance.now()
      }
    })()
    await sleep(500)
    const { tokens } = await hub.listTokens({ match: token.slice(0, -44) })
    await hub.revokeToken(tokens[0]?.key_id ?? '')
    const answered = performance.now()
    await reading
    times.push(Math.max(0, lastAccepted - answered))
  }
  return times
}
