import type { Logger } from '@nexus/service'
import { systemOrigin } from '../audit/audit-event.ts'
import { recordEvent } from '../audit/record-event.ts'
import type { Database, Queryable } from '../db/database.ts'
import type { NoticeMetrics } from './notice-metrics.ts'
import * as store from './store.ts'

export type AbandonNoticesDeps = {
  readonly database: Database
  readonly createId: () => string
  readonly logger: Logger
  readonly metrics: Pick<NoticeMetrics, 'count'>
}

/** `undeliverable` after a day of failures · `gone` the receiver answered 410 · `not_configured` no WEBHOOK_URL any more. */
export type AbandonReason = 'undeliverable' | 'gone' | 'not_configured'

const batchSize = 100

/** Gives up a notice that was claimed, unless somebody claimed it since: then the outcome is theirs. */
export async function abandonNotice(
  deps: AbandonNoticesDeps,
  notice: store.ClaimedNotice,
  reason: AbandonReason,
): Promise<void> {
  const wasDropped = await deps.database.transaction(async (transaction) => {
    if (!(await store.deleteUndeliverable(transaction, notice))) return false
    await recordAbandoned(deps, transaction, notice, reason)
    return true
  })
  if (wasDropped) announce(deps, notice, reason)
}

/**
 * Where no WEBHOOK_URL is configured nobody delivers what an earlier configuration left behind: it goes when its day is
 * over, as it would have, so that the outbox does not keep it for ever.
 *
 * @returns whether there may be more
 */
export async function abandonOutdatedNotices(deps: AbandonNoticesDeps): Promise<boolean> {
  const dropped = await deps.database.transaction(async (transaction) => {
    const outdated = await store.deleteOutdated(transaction, batchSize)
    for (const notice of outdated) await recordAbandoned(deps, transaction, notice, 'not_configured')
    return outdated
  })
  for (const notice of dropped) announce(deps, notice, 'not_configured')
  return dropped.length === batchSize
}

function recordAbandoned(
  { createId }: AbandonNoticesDeps,
  transaction: Queryable,
  { id, type, data, attempts }: store.OutdatedNotice,
  reason: AbandonReason,
): Promise<void> {
  return recordEvent(transaction, createId(), {
    event: 'notice.abandoned',
    outcome: reason,
    origin: systemOrigin,
    zone: readText(data['zone']),
    connectionId: readText(data['connection_id']),
    providerId: readText(data['provider_id']),
    data: { type, notice_id: id, attempts },
  })
}

function announce(
  { logger, metrics }: AbandonNoticesDeps,
  { id, type, attempts }: store.OutdatedNotice,
  reason: AbandonReason,
): void {
  metrics.count(type, 'abandoned')
  logger.error({ notice_id: id, type, attempts, reason }, 'a notice was abandoned; its receiver does not know of it')
}

function readText(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined
}
