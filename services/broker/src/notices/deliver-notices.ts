import type { Logger } from '@nexus/service'
import { type AbandonNoticesDeps, abandonNotice } from './abandon-notices.ts'
import { noticeRetryDelay } from './retry-delay.ts'
import { type SendNoticeDeps, type SendResult, sendNotice } from './send-notice.ts'
import * as store from './store.ts'

export type DeliverNoticesDeps = AbandonNoticesDeps &
  SendNoticeDeps & {
    readonly monotonicMs: () => number
    /** Uniform in [0, 1). */
    readonly random: () => number
  }

/** Sent at once by each Broker: few enough to leave the pool to callers while their outcomes are written. */
const batchSize = 8
/** Longer than an attempt can take, with what is written after it. */
const leaseSeconds = 30
const giveUpAfterStopMs = 2_000
/** For longer than this no single answer silences all notices. */
const longestRestSeconds = 600

/**
 * Makes the round that delivers what is due, at least once each: claim, send, and only then delete. A Broker that dies in
 * between leaves the notice to the others when its lease ends, and the receiver may see the same `webhook-id` again.
 *
 * @returns a function that resolves with whether there may be more. Attempts under way two seconds after its signal fired
 * are given up: nobody knows what became of them, so they come back with the end of their lease.
 */
export function createNoticeDelivery(deps: DeliverNoticesDeps): (stopping: AbortSignal) => Promise<boolean> {
  let restsUntilMs = -Infinity

  const deliver = async (notice: store.ClaimedNotice, giveUp: AbortSignal): Promise<string | undefined> => {
    const sent = await sendNotice(deps, notice, giveUp)
    if (sent.kind === 'failed' && sent.isOverloaded === true && sent.retryAfterSeconds !== undefined) {
      restsUntilMs = deps.monotonicMs() + Math.min(sent.retryAfterSeconds, longestRestSeconds) * 1_000
    }
    if (sent.kind === 'failed' && giveUp.aborted) return sent.reason
    await settle(deps, notice, sent)
    return sent.kind === 'delivered' ? undefined : sent.kind === 'gone' ? 'status 410' : sent.reason
  }

  return async (stopping) => {
    if (deps.monotonicMs() < restsUntilMs) return false
    const claimed = await store.claimDueNotices(deps.database, batchSize, leaseSeconds)
    if (claimed.length === 0) return false
    const outcomes = await withDelayedAbort(stopping, giveUpAfterStopMs, (giveUp) =>
      Promise.allSettled(claimed.map((notice) => deliver(notice, giveUp))),
    )
    report(deps.logger, outcomes)
    return claimed.length === batchSize
  }
}

async function settle(deps: DeliverNoticesDeps, notice: store.ClaimedNotice, sent: SendResult): Promise<void> {
  switch (sent.kind) {
    case 'delivered':
      deps.metrics.count(notice.type, 'delivered')
      return store.deleteDelivered(deps.database, notice.id)
    case 'gone':
      // nobody answers 410 by accident; the next notice is offered all the same, for only the operator can take the URL away
      return abandonNotice(deps, notice, 'gone')
    case 'failed':
      if (notice.is_last) return abandonNotice(deps, notice, 'undeliverable')
      deps.metrics.count(notice.type, 'retried')
      return store.postponeNotice(
        deps.database,
        notice,
        noticeRetryDelay(notice.attempts, sent.retryAfterSeconds, deps.random),
      )
  }
}

/** Runs work that is told to give up `delayMs` after `signal` fired. */
async function withDelayedAbort<Result>(
  signal: AbortSignal,
  delayMs: number,
  work: (giveUp: AbortSignal) => Promise<Result>,
): Promise<Result> {
  const giveUp = new AbortController()
  let timer: NodeJS.Timeout | undefined
  const onAbort = (): void => {
    timer = setTimeout(() => giveUp.abort(), delayMs)
  }
  if (signal.aborted) onAbort()
  else signal.addEventListener('abort', onAbort, { once: true })
  try {
    return await work(giveUp.signal)
  } finally {
    signal.removeEventListener('abort', onAbort)
    clearTimeout(timer)
  }
}

/** One line per round: a receiver that is away for a day would otherwise fill the log. */
function report(logger: Logger, outcomes: readonly PromiseSettledResult<string | undefined>[]): void {
  const reasons = new Set(
    outcomes.flatMap((one) => (one.status === 'fulfilled' && one.value !== undefined ? [one.value] : [])),
  )
  const failed = outcomes.filter((one) => one.status === 'rejected' || one.value !== undefined).length
  const [lost] = outcomes.filter((one) => one.status === 'rejected')
  if (failed === 0) return
  logger.warn({ failed, of: outcomes.length, reasons: [...reasons], err: lost?.reason }, 'notices were not delivered')
}
