import { createHmac, randomBytes, randomUUID } from 'node:crypto'
import { Secret } from '@nexus/config'
import { createLogger, createMetrics, renderMetrics } from '@nexus/service'
import { type TestDatabase, type WebhookReceiver, captureLogs, startWebhookReceiver } from '@nexus/testing'
import { test as base } from '@nexus/testing/vitest'
import { onTestFinished } from 'vitest'
import { type Database, openDatabase } from '../src/db/database.ts'
import { createNoticeDelivery } from '../src/notices/deliver-notices.ts'
import { createNoticeMetrics } from '../src/notices/notice-metrics.ts'
import { type ConnectionNotice, createNoticeRecorder } from '../src/notices/notice-recorder.ts'
import { openFetch } from './outbound-peer.ts'

type Pool = TestDatabase['pool']

/** `test` with a pool as a Broker has it, over the file's database. */
export const test = base.extend('outbox', { scope: 'file' }, async ({ database }, { onCleanup }) => {
  const outbox = openOutbox(database.url)
  onCleanup(() => outbox.close())
  return outbox
})

export function openOutbox(url: string): Database {
  return openDatabase({
    url,
    maxConnections: 10,
    statementTimeoutMs: 10_000,
    applicationName: 'nexus-broker',
    keepsPrepared: false,
    onIdleError: () => undefined,
  })
}

export type Told = { readonly connectionId: string; readonly providerId: string; readonly provider: string }

/** A connection at a provider of its own: notices need no more of it than its row. */
export async function insertConnection(pool: Pool, status = 'active', reason: string | null = null): Promise<Told> {
  const [connectionId, providerId] = [randomUUID(), randomUUID()]
  const provider = `provider-${providerId.slice(0, 8)}`
  await pool.query(
    `insert into provider_profiles (id, name, auth_type, zones, settings) values ($1, $2, 'oauth2', '{root}', '{}')`,
    [providerId, provider],
  )
  await pool.query(
    `insert into connections (id, zone, workspace_id, provider_id, status, status_reason, scopes, metadata, pending_until)
     values ($1, 'root', 'user-1', $2, $3, $4, '{}', '{}', now())`,
    [connectionId, providerId, status, reason],
  )
  return { connectionId, providerId, provider }
}

const recorder = createNoticeRecorder(randomUUID, true)

/** Writes a notice as those do whom it comes from: in a transaction, by the recorder. @returns its id */
export async function tell(
  outbox: Database,
  { connectionId }: Pick<Told, 'connectionId'>,
  type: ConnectionNotice = 'connection.attention_required',
): Promise<string> {
  let id = ''
  const noting = createNoticeRecorder(() => (id = randomUUID()), true)
  await outbox.transaction((transaction) => noting.aboutConnection(transaction, type, connectionId))
  return id
}

export async function tellMany(outbox: Database, about: Told, count: number): Promise<void> {
  await outbox.transaction(async (transaction) => {
    for (let n = 0; n < count; n++) await recorder.aboutConnection(transaction, 'connection.active', about.connectionId)
  })
}

export type NoticeRow = {
  readonly id: string
  readonly attempts: number
  readonly seconds_ahead: number
  readonly created_at: Date
}

export async function noticeRow(pool: Pool, id: string): Promise<NoticeRow | undefined> {
  const { rows } = await pool.query<NoticeRow>(
    `select id, attempts, created_at, extract(epoch from next_attempt_at - now())::float8 as seconds_ahead
       from notices where id = $1`,
    [id],
  )
  return rows[0]
}

/** Time passes: what waits for a retry, or for the end of a lease, is due. */
export async function makeDue(pool: Pool, id: string): Promise<void> {
  await pool.query('update notices set next_attempt_at = now() where id = $1', [id])
}

export async function makeOlder(pool: Pool, id: string, by: string): Promise<void> {
  await pool.query('update notices set next_attempt_at = now(), created_at = created_at - $2::interval where id = $1', [
    id,
    by,
  ])
}

export type AbandonedRow = { readonly outcome: string; readonly [column: string]: unknown }

export async function abandonedOf(pool: Pool, id: string): Promise<readonly AbandonedRow[]> {
  const { rows } = await pool.query<AbandonedRow>(
    `select outcome, zone, actor_kind, connection_id, provider_id, data from audit_events
      where event = 'notice.abandoned' and data->>'notice_id' = $1`,
    [id],
  )
  return rows
}

export type Sending = {
  readonly url?: string
  readonly secrets?: readonly Buffer[]
  readonly fetch?: ReturnType<typeof openFetch>
}

/** A receiver and the delivery to it, which a test performs round by round. The outbox is empty at the beginning. */
export async function openNoticeScene(outbox: Database, pool: Pool, sending: Sending = {}) {
  await pool.query('delete from notices')
  const receiver = await openReceiver()
  const secrets = sending.secrets ?? [randomBytes(32)]
  const logs = captureLogs()
  const metrics = createMetrics('test')
  const clock = { ms: 0 }
  const deps = {
    database: outbox,
    createId: randomUUID,
    logger: createLogger({ level: 'trace', service: 'test', destination: logs }),
    metrics: createNoticeMetrics(metrics, outbox),
    fetch: sending.fetch ?? openFetch(),
    databaseNow: Date.now,
    monotonicMs: () => clock.ms,
    random: () => 0.5,
  }
  const webhook = {
    url: new Secret(sending.url ?? `${receiver.url}/nexus`),
    secrets: secrets.map((bytes) => new Secret(bytes)),
  }
  const deliver = createNoticeDelivery({ ...deps, webhook })
  const stopping = new AbortController()
  return {
    receiver,
    secrets,
    logs,
    deps: { ...deps, webhook },
    stopping,
    /** One round. @returns whether there may be more */
    deliver: () => deliver(stopping.signal),
    /** Moves the monotonic clock of the delivery. */
    advance: (seconds: number) => void (clock.ms += seconds * 1_000),
    metrics: async () => (await renderMetrics(metrics)).text,
  }
}

/** A receiver until the test ends. */
export async function openReceiver(): Promise<WebhookReceiver> {
  const receiver = await startWebhookReceiver()
  onTestFinished(() => receiver[Symbol.asyncDispose]())
  return receiver
}

export type ReceivedNotice = {
  readonly type: string
  readonly timestamp: string
  readonly data: Readonly<Record<string, unknown>>
}

/**
 * What a receiver does, by the text of the specification and with nothing of the sender's code.
 *
 * @throws Error if the signature does not fit
 */
export function verify(request: WebhookReceiver['requests'][number] | undefined, secret: Buffer): ReceivedNotice {
  if (request === undefined) throw new Error('nothing was received')
  const { headers, body } = request
  const signed = [headers['webhook-id'], headers['webhook-timestamp'], body].join('.')
  const expected = createHmac('sha256', secret).update(signed).digest('base64')
  const given = String(headers['webhook-signature']).split(' ')
  if (!given.includes(`v1,${expected}`)) throw new Error(`no signature fits: ${given.join(' ')}`)
  return JSON.parse(body)
}
